// The program: finds the command and turns errors into exit statuses.
#include "base/error.h"

#include <cstdio>

int main() {
  std::puts("ingrain");
  return 0;
}
