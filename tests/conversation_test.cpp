#include "chat/conversation.h"

#include <gtest/gtest.h>

namespace ingrain::chat {
namespace {

// The form of SmolLM2 and Qwen, and one that forgets what earlier answers thought.
const char* const kTurns =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const char* const kForgets =
    "{% for m in messages %}{% if m.role != 'assistant' %}[{{ m.content }}]{% endif %}{% endfor %}>";

TEST(Conversation, each_turn_gives_only_what_is_new) {
  Conversation talk({kTurns, {}, {}}, "Be brief.");
  EXPECT_EQ(talk.ask("Who?"),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
  talk.answered("Emma.", "<|im_end|>");
  EXPECT_EQ(talk.ask("Where?"), "\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Conversation, all_that_is_read_together_is_the_template_of_the_whole) {
  Conversation talk({kTurns, {}, {}});
  std::string all;
  const char* const turns[][2] = {{"a?", "b"}, {"c?", " d \n"}, {"e?", "b"}, {"b", ""}};
  for (const auto& [question, answer] : turns) {
    all += talk.ask(question);
    all += std::string(answer) + "<|im_end|>";
    talk.answered(answer, "<|im_end|>");
  }
  EXPECT_EQ(all,
            "<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc?<|im_end|>\n<|im_"
            "start|>assistant\n d \n<|im_end|>"
            "\n<|im_start|>user\ne?<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_"
            "start|>assistant\n<|im_end|>");
}

TEST(Conversation, an_answer_that_was_cut_off_is_ended_by_the_next_turn) {
  Conversation talk({kTurns, {}, {}});
  talk.ask("Who?");
  talk.answered("Emma Wood");
  EXPECT_EQ(talk.ask("Go on"), "<|im_end|>\n<|im_start|>user\nGo on<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Conversation, a_template_that_changes_earlier_turns_is_rendered_for_the_new_turn_alone) {
  Conversation talk({kForgets, {}, {}});
  EXPECT_EQ(talk.ask("one"), "[one]>");
  talk.answered("two");
  EXPECT_EQ(talk.ask("three"), "[three]>");
}

TEST(Conversation, a_refused_question_leaves_no_trace) {
  Conversation talk(
      {"{% if messages[-1].content == 'no' %}{{ raise_exception('never') }}{% endif %}{% for m in messages %}<{{ "
       "m.content }}>{% endfor %}",
       {},
       {}});
  EXPECT_THROW(talk.ask("no"), std::exception);
  EXPECT_EQ(talk.ask("yes"), "<yes>");
}

TEST(Conversation, models_without_a_template_get_questions_and_answers) {
  Conversation talk({}, "About Emma.");
  EXPECT_EQ(talk.ask("Who is she? "), "\n\nAbout Emma.\n\nQuestion: Who is she?\nAnswer:");
  talk.answered(" Rich.");
  EXPECT_EQ(talk.ask("And clever?"), "\n\nQuestion: And clever?\nAnswer:");
  EXPECT_FALSE(talk.stops().empty());
}

}  // namespace
}  // namespace ingrain::chat
