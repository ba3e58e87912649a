// Every endpoint.
#include "serve/routes/service.h"

namespace ingrain::serve {

const std::vector<Route>& routes() {
  static const std::vector<Route> out = {
      {"POST", "/v1/chat/completions", false, post_chat},
      {"POST", "/v1/completions", false, post_completions},
      {"POST", "/v1/messages", false, post_messages},
      {"POST", "/v1/messages/count_tokens", false, post_count_tokens},
      {"POST", "/v1/responses", false, post_responses},
      {"GET", "/v1/responses/{id}", false, get_response},
      {"DELETE", "/v1/responses/{id}", false, delete_response},
      {"GET", "/v1/responses/{id}/input_items", false, get_response_input},
      {"POST", "/v1/responses/{id}/cancel", false, cancel_response},
      {"POST", "/v1/conversations", false, post_conversations},
      {"GET", "/v1/conversations", false, get_conversations},
      {"GET", "/v1/conversations/{id}", false, get_conversation},
      {"POST", "/v1/conversations/{id}", false, update_conversation},
      {"DELETE", "/v1/conversations/{id}", false, delete_conversation},
      {"GET", "/v1/conversations/{id}/responses", false, get_conversation_responses},
      {"GET", "/v1/conversations/{id}/items", false, get_conversation_items},
      {"POST", "/v1/conversations/{id}/items", false, post_conversation_items},
      {"GET", "/v1/conversations/{id}/items/{item}", false, get_conversation_item},
      {"DELETE", "/v1/conversations/{id}/items/{item}", false, delete_conversation_item},
      {"POST", "/v1/memories", false, post_memories},
      {"GET", "/v1/memories", false, get_memories},
      {"GET", "/v1/memories/{id}", false, get_memory},
      {"POST", "/v1/memories/{id}", false, rename_memory},
      {"DELETE", "/v1/memories/{id}", false, delete_memory},
      {"POST", "/v1/memories/{id}/fork", false, fork_memory},
      {"POST", "/v1/memories/{id}/read", false, read_into_memory},
      {"GET", "/v1/memories/{id}/content", false, download_memory},
      {"GET", "/v1/memories/{id}/notes", false, download_memory_notes},
      {"GET", "/v1/models", false, get_models},
      {"GET", "/v1/models/{id}", false, get_model},
      {"POST", "/tokenize", false, post_tokenize},
      {"POST", "/detokenize", false, post_detokenize},
      {"GET", "/health", true, get_health},
      {"GET", "/metrics", false, get_metrics},
      {"GET", "/openapi.json", true, get_openapi},
      {"GET", "/", true, get_page},
      {"GET", "/page/{file}", true, get_page},
  };
  return out;
}

}  // namespace ingrain::serve
