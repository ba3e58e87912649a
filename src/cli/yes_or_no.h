// What a person answered to a question of yes or no.
#pragma once

#include <string_view>

namespace ingrain::cli {

/// "y" or "yes" in any case, with blanks around.
bool is_yes(std::string_view answer);
/// "n" or "no" in any case, or nothing, with blanks around.
bool is_no(std::string_view answer);

}  // namespace ingrain::cli
