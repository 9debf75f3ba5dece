// The keys of a scenario file, for editors.
#pragma once

#include <string>

namespace rehearse {

// A JSON Schema (draft 2020-12) of scenario files as their YAML reads in JSON. It says what a value
// may be by itself and which keys go together; what numbers have to do with one another only
// reading the file shows. Ends with a line break.
std::string json_schema();

}  // namespace rehearse
