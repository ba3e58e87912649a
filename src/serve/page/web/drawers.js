// On small screens, the lists and the memory are drawers: out of reach while they are closed.
import { find } from "./dom.js";

const drawers = [["side", "show-side"], ["panel", "show-panel"]];
const small = { side: matchMedia("(max-width: 760px)"), panel: matchMedia("(max-width: 1100px)") };

function setDrawer(id, open) {
  const [, opener] = drawers.find(([drawer]) => drawer === id);
  find(id).classList.toggle("open", open);
  find(id).inert = small[id].matches && !open;
  find(opener).setAttribute("aria-expanded", open || !small[id].matches);
  find("veil").hidden = !drawers.some(([drawer]) => find(drawer).classList.contains("open"));
}
export const closeDrawers = () => drawers.forEach(([id]) => setDrawer(id, false));

for (const [id, opener] of drawers) {
  find(opener).onclick = () => {
    const open = !find(id).classList.contains("open");
    closeDrawers();
    setDrawer(id, open);
    if (open) find(id).querySelector("button, [tabindex]")?.focus();
  };
  small[id].addEventListener("change", closeDrawers);
}
find("veil").onclick = closeDrawers;

/// Closes the drawer that is open, and goes back to its button; false if none is.
export function leaveDrawer() {
  const open = drawers.find(([id]) => find(id).classList.contains("open"));
  if (open) closeDrawers(), find(open[1]).focus();
  return Boolean(open);
}

closeDrawers();
