#include "tools/report/report.h"

#include "model/base/check.h"
#include "tools/report/page.h"

namespace rehearse {
namespace {

// "</script>" inside the data would end it early.
std::string escape_for_script(std::string json) {
  std::size_t at = 0;
  while ((at = json.find("</", at)) != std::string::npos)
    json.replace(at, 2, "<\\/"), at += 3;
  return json;
}

}  // namespace

std::string print_report(const std::vector<Summary>& summaries) {
  std::string data = "[";
  for (const Summary& summary : summaries) {
    if (data.size() > 1) data += ",";
    data += print_json(summary);
  }
  data += "]";
  std::string page(kReportPage);
  constexpr std::string_view kMark = "\"@DATA@\"";
  const std::size_t at = page.find(kMark);
  REHEARSE_CHECK(at != std::string::npos, "the page has no {}", kMark);
  return page.replace(at, kMark.size(), escape_for_script(std::move(data)));
}

}  // namespace rehearse
