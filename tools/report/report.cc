#include "tools/report/report.h"

#include <nlohmann/json.hpp>

#include "model/base/check.h"
#include "tools/report/page_text.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

// Nothing inside the data may end the element that they stand in, or begin a comment.
std::string escape_for_html(const std::string& json) {
  std::string text;
  for (const char c : json) {
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  }
  return text;
}

std::string data_of(const Report& report) {
  std::string data = "{\"summaries\":[";
  for (const Summary& summary : report.summaries) {
    if (&summary != report.summaries.data()) data += ",";
    data += Json::parse(print_json(summary)).dump();
  }
  data += "],\"sweep\":" + (report.sweep ? print_json(*report.sweep) : "null") + "}";
  return data;
}

}  // namespace

std::string print_report(const Report& report) {
  std::string page(kReportPage);
  constexpr std::string_view kMark = "<!--DATA-->";
  const std::size_t at = page.find(kMark);
  REHEARSE_CHECK(at != std::string::npos, "the page has no {}", kMark);
  return page.replace(at, kMark.size(), escape_for_html(data_of(report)));
}

}  // namespace rehearse
