// JSON as the tree that YAML is read into.
#pragma once

#include <memory>
#include <string_view>

#include "model/scenario/yaml.h"

namespace rehearse::yaml {

// Whether a file is JSON: by its name.
bool is_json(std::string_view path);

// Strings are quoted scalars, null is nothing. Errors: what is no JSON, at the first place where it
// is none.
Result<Document> parse_json(std::shared_ptr<const SourceText> source);

}  // namespace rehearse::yaml
