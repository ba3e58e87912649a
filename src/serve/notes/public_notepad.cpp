// include/ingrain/notepad.h: a notepad of one set.
#include "ingrain/notepad.h"

#include "serve/notes/notepad.h"

namespace ingrain {
namespace {

constexpr const char* kSet = "";  // as in the file beside a memory

}  // namespace

struct Notepad::Parts {
  std::unique_ptr<serve::Notepad> notes = std::make_unique<serve::Notepad>();
};

Notepad::Notepad() : parts_(std::make_unique<Parts>()) {}
Notepad::Notepad(Notepad&&) noexcept = default;
Notepad& Notepad::operator=(Notepad&&) noexcept = default;
Notepad::~Notepad() = default;

Notepad Notepad::beside(const std::filesystem::path& memory) {
  Notepad out;
  out.parts_->notes = serve::Notepad::copy_of(serve::existing_notes_file(memory));
  return out;
}

void Notepad::save_beside(const std::filesystem::path& memory) const {
  const std::filesystem::path file = serve::notes_file(memory);
  serve::require_notepad(file);
  parts_->notes->save(file);
}

int64_t Notepad::add(std::string_view document, std::string_view text) {
  return parts_->notes->add(kSet, document, text);
}

int64_t Notepad::passages() const { return parts_->notes->passages(kSet); }

std::vector<Passage> Notepad::search(std::string_view question, int64_t limit) const {
  return parts_->notes->search(kSet, question, limit);
}

std::string Notepad::text_of(const std::vector<Passage>& passages) { return serve::notes_text(passages); }

}  // namespace ingrain
