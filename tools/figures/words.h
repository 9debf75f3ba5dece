// Names from files as words.
#pragma once

#include <string>
#include <string_view>

namespace rehearse::figures {

// "backward input" of "backward_input"; collectives as the field writes them: "all-reduce",
// "reduce-scatter", "all-gather". The page has the same (tools/report/page/text.js).
std::string words_of(std::string_view name);

}  // namespace rehearse::figures
