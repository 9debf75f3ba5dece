// HuggingFace's config.json of a transformer as a model of ours.
//
// What is read of which architecture, and what a missing key is, stands in its file in
// model/scenario/hugging_face/. Keys that say nothing about the network's shape are passed over:
// token ids, initial weights, epsilons of norms (ours are 1e-5) and rates of dropout (0 unless a
// scenario says otherwise).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/model_spec.h"

namespace rehearse {

// What becomes of a config whose positions are scaled to longer sequences (`rope_scaling`). No
// layer here does that; left out, it is a network of the same shapes, parameters and FLOPs.
enum class RopeScaling { refused, left_out };

struct ImportedModel {
  ModelSpec spec;  // resolved
  // Where attention sees a window of the sequence only, which no layer of ours does: how many
  // tokens. A sequence that is no longer is seen whole.
  struct Window {
    std::int64_t tokens;
    SourceSpan where;
  };
  std::optional<Window> window;
};

// A sequence is as long as the learned positions or those that the config was made for, at most a
// window, unless the spec is given another length afterwards.
//
// Errors: the file cannot be read or is no JSON; an architecture that is not there, mixtures of
// experts and quantised weights among them; keys of a wrong type; what no kind of model has.
Result<ImportedModel> import_config(const std::string& path,
                                    RopeScaling scaling = RopeScaling::refused);
Result<ImportedModel> parse_config(const std::string& text, const std::string& path,
                                   RopeScaling scaling = RopeScaling::refused);

// Errors: the spec, whose fields may have been changed since, has sequences beyond the window.
Status check_window(const ImportedModel& imported, const ModelSpec& spec);

// "GPT2LMHeadModel", ...: sorted.
std::vector<std::string> supported_architectures();

}  // namespace rehearse
