// One function for each parser. They return normally whatever they are given; REHEARSE_CHECK ends
// the program if what was accepted does not survive being printed and read again.
#pragma once

#include <string>

namespace rehearse::fuzz {

void scenario(const std::string& text);
void model_config(const std::string& text);
void device_profile(const std::string& text);
void plan(const std::string& text);
void schedule_csv(const std::string& text);

}  // namespace rehearse::fuzz
