// Models of the hub's cache by their names.
#include "store/hub.h"

#include "base/files.h"
#include "scratch.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace ingrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Hub : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    ::setenv("HF_HUB_CACHE", dir_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("HF_HUB_CACHE");
    ScratchTest::TearDown();
  }
  /// A file of a snapshot as huggingface_hub lays it down: a link to a blob.
  void add(const std::string& repository, const std::string& commit, const std::string& file) {
    const fs::path root = dir_ / repository, snapshot = root / "snapshots" / commit;
    fs::create_directories(root / "blobs");
    fs::create_directories(snapshot);
    put(root / "blobs" / file, "x");
    fs::create_symlink(fs::path("../../blobs") / file, snapshot / file);
  }
  void ref(const std::string& repository, const std::string& name, const std::string& commit) {
    fs::create_directories((dir_ / repository / "refs" / name).parent_path());
    put(dir_ / repository / "refs" / name, commit);
  }
  static fs::path found(const std::string& name) { return hub_model(*parse_hub_name(name)); }
  static std::string refusal(const std::string& name) {
    return error_of([&] { found(name); });
  }
};

TEST_F(Hub, a_model_is_the_snapshot_that_main_names) {
  const std::string folder = "models--org--small";
  add(folder, "aaa", "config.json");
  add(folder, "aaa", "model.safetensors");
  add(folder, "bbb", "config.json");
  add(folder, "bbb", "model.safetensors");
  ref(folder, "main", "bbb\n");
  ref(folder, "pr/1", "aaa");
  EXPECT_EQ(found("hf:org/small"), dir_ / folder / "snapshots/bbb");
  EXPECT_EQ(found("hf:org/small@aaa"), dir_ / folder / "snapshots/aaa");
  EXPECT_EQ(found("hf:org/small@pr/1"), dir_ / folder / "snapshots/aaa");
  EXPECT_THAT(refusal("hf:org/small@ccc"), HasSubstr("hf download org/small --revision ccc"));
}

TEST_F(Hub, of_several_gguf_files_one_is_named) {
  const std::string folder = "models--org--files";
  add(folder, "aaa", "m-q4_0.gguf");
  EXPECT_EQ(found("hf:org/files").filename(), "m-q4_0.gguf") << "the only snapshot, the only file";
  add(folder, "aaa", "big-00001-of-00002.gguf");
  add(folder, "aaa", "big-00002-of-00002.gguf");
  add(folder, "aaa", "mmproj-f16.gguf");
  EXPECT_THAT(refusal("hf:org/files"), HasSubstr("big-00001-of-00002.gguf, m-q4_0.gguf"));
  EXPECT_EQ(found("hf:org/files/m-q4_0.gguf").filename(), "m-q4_0.gguf");
  EXPECT_THAT(refusal("hf:org/files/none.gguf"), HasSubstr("hf download org/files none.gguf"));
}

TEST_F(Hub, what_is_not_there_is_said_with_the_place_and_the_command) {
  EXPECT_THAT(refusal("hf:org/missing"), testing::AllOf(HasSubstr((dir_ / "models--org--missing").string()),
                                                        HasSubstr("'hf download org/missing'")));
  add("models--org--half", "aaa", "config.json");
  EXPECT_THAT(refusal("hf:org/half"), HasSubstr("neither"));
  add("models--gpt2", "aaa", "config.json");
  add("models--gpt2", "aaa", "model.safetensors");
  EXPECT_EQ(found("hf:gpt2"), dir_ / "models--gpt2/snapshots/aaa");
  ref("models--gpt2", "main", "../../../../etc");
  EXPECT_THAT(refusal("hf:gpt2"), HasSubstr("which is no commit"));
}

TEST_F(Hub, no_name_leads_out_of_the_cache) {
  EXPECT_FALSE(parse_hub_name("models/small"));
  for (const char* name :
       {"hf:", "hf:/", "hf:..", "hf:../x", "hf:org/..", "hf:org/", "hf:/name", "hf:org//x", "hf:o--g/x",
        "hf:org/x/../../y", "hf:org/x/.hidden", "hf:org/x@", "hf:org/x@../y", "hf:org/x@/etc", "hf:org/x y", "hf:-o/x"})
    EXPECT_THROW(parse_hub_name(name), Error) << name;
  EXPECT_THROW(parse_hub_name("hf:org/" + std::string(200, 'x')), Error);
}

TEST_F(Hub, the_environment_says_where_the_cache_is) {
  EXPECT_EQ(hub_cache(), dir_);
  ::unsetenv("HF_HUB_CACHE");
  ::setenv("HF_HOME", "/somewhere", 1);
  EXPECT_EQ(hub_cache(), "/somewhere/hub");
  ::unsetenv("HF_HOME");
  EXPECT_THAT(hub_cache().string(), testing::EndsWith("huggingface/hub"));
}

}  // namespace
}  // namespace ingrain
