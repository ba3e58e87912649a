// Before anything is drawn: the chosen theme, if there is one (else the system's).
const theme = localStorage.getItem("ingrain.theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
