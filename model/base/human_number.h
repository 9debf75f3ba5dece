// Numbers without a unit, as people read them; with one: model/base/text.h. The report's page and
// pictures say the same figures alike (tools/report/page/text.js; tests/report holds them to it).
#pragma once

#include <string>

namespace rehearse {

// Four significant digits, and all of whole numbers: "0.01235", "845.3", "23,967", "412,273".
std::string human_number(double x);

}  // namespace rehearse
