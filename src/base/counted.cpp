#include "base/counted.h"

#include "base/text.h"

namespace ingrain {

std::string plural(int64_t number, std::string_view thing) { return std::string(thing) + (number == 1 ? "" : "s"); }

std::string counted(int64_t number, std::string_view thing) {
  return with_commas(number) + " " + plural(number, thing);
}

}  // namespace ingrain
