// A program of one's own that remembers: it reads a text once, keeps the memory as a file, and goes on from there.
//   embed_example MODEL TEXT MEMORY
#include <ingrain/ingrain.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

int main(int argc, char** argv) try {
  if (argc != 4) throw ingrain::UsageError("usage: embed_example MODEL TEXT MEMORY");
  const ingrain::Model model = ingrain::Model::load(argv[1]);
  ingrain::Memory memory(model);
  if (std::filesystem::exists(argv[3])) {
    memory = ingrain::Memory::load(argv[3], model);
  } else {
    std::ifstream text(argv[2]);
    ingrain::Reader reader(memory);
    for (std::string line; std::getline(text, line);) reader.feed(line + "\n");
    reader.finish();
    memory.save(argv[3]);
  }
  std::printf("%lld tokens read, %lld inner steps, %llu bytes of memory\n", static_cast<long long>(memory.position()),
              static_cast<long long>(memory.steps()), static_cast<unsigned long long>(memory.bytes()));

  ingrain::Memory fork = memory;  // the original stays as it is
  ingrain::Reader(fork).read("\n\nEmma smiled, and said, ");
  ingrain::GenerateOptions options;
  options.max_tokens = 60;
  options.sampling.temperature = 0.7;
  ingrain::generate(fork, options, [](std::string_view piece) { std::cout << piece << std::flush; });
  std::cout << '\n';
  return 0;
} catch (const ingrain::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
