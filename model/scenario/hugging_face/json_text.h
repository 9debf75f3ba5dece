// What of JSON is no YAML.
#pragma once

#include <string>
#include <string_view>

namespace rehearse::hugging_face {

// JSON writes characters beyond the first 65,536 as two halves ("\ud83d\ude00"), YAML as a whole
// ("\U0001F600"). Whatever stands behind the string that has one stays where it was: the string is
// followed by as many blanks as it became shorter.
std::string with_whole_characters(std::string_view json);

}  // namespace rehearse::hugging_face
