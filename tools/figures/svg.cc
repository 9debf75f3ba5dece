#include "tools/figures/svg.h"

#include <fmt/format.h>

namespace rehearse::figures {
namespace {

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        // XML has no other control characters.
        safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

// To a hundredth of a pixel, without zeros at its end.
std::string px(double x) {
  std::string text = fmt::format("{:.2f}", x);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string points_of(const std::vector<Place>& places) {
  std::string text;
  for (const Place& place : places)
    text += (text.empty() ? "" : " ") + px(place.x) + "," + px(place.y);
  return text;
}

std::string_view name_of(Anchor anchor) {
  return anchor == Anchor::start ? "start" : anchor == Anchor::middle ? "middle" : "end";
}

}  // namespace

Svg::Svg(double width, double height, std::string title)
    : width_(width), height_(height), title_(std::move(title)) {}

void Svg::mark(std::string element, std::string_view told) {
  marks_ += "<" + element;
  const std::string name = element.substr(0, element.find(' '));
  marks_ += told.empty() ? "/>\n" : "><title>" + escaped(told) + "</title></" + name + ">\n";
}

void Svg::rect(const Box& box, const std::string& fill, std::string_view told) {
  mark(fmt::format(R"(rect x="{}" y="{}" width="{}" height="{}" fill="{}")", px(box.x), px(box.y),
                   px(box.width), px(box.height), fill),
       told);
}

void Svg::outline(const Box& box, const std::string& stroke, double width) {
  mark(fmt::format(
           R"(rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="{}" stroke-width="{}")",
           px(box.x), px(box.y), px(box.width), px(box.height), stroke, px(width)),
       {});
}

void Svg::line(Place from, Place to, const std::string& stroke, double width, bool is_dashed) {
  mark(fmt::format(R"(line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"{})",
                   px(from.x), px(from.y), px(to.x), px(to.y), stroke, px(width),
                   is_dashed ? R"( stroke-dasharray="5 4")" : ""),
       {});
}

void Svg::polyline(const std::vector<Place>& places, const std::string& stroke, double width,
                   std::string_view told) {
  mark(fmt::format(R"(polyline points="{}" fill="none" stroke="{}" stroke-width="{}")",
                   points_of(places), stroke, px(width)),
       told);
}

void Svg::curve(Place from, Place towards, Place to, const std::string& stroke, double width,
                std::string_view told) {
  mark(fmt::format(R"(path d="M {} {} Q {} {} {} {}" fill="none" stroke="{}" stroke-width="{}")",
                   px(from.x), px(from.y), px(towards.x), px(towards.y), px(to.x), px(to.y), stroke,
                   px(width)),
       told);
}

void Svg::polygon(const std::vector<Place>& places, const std::string& fill,
                  std::string_view told) {
  mark(fmt::format(R"(polygon points="{}" fill="{}")", points_of(places), fill), told);
}

void Svg::circle(Place center, double radius, const std::string& fill, std::string_view told) {
  mark(fmt::format(R"(circle cx="{}" cy="{}" r="{}" fill="{}")", px(center.x), px(center.y),
                   px(radius), fill),
       told);
}

void Svg::ring(Place center, double radius, const std::string& stroke, std::string_view told) {
  mark(fmt::format(R"(circle cx="{}" cy="{}" r="{}" fill="none" stroke="{}")", px(center.x),
                   px(center.y), px(radius), stroke),
       told);
}

void Svg::text(Place at, std::string_view text, const TextStyle& style) {
  std::string turned;
  if (style.turned != 0)
    turned = fmt::format(" transform=\"rotate({} {} {})\"", px(style.turned), px(at.x), px(at.y));
  const std::string_view bold = style.is_bold ? " font-weight=\"bold\"" : "";
  marks_ += fmt::format(
      "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{}\"{}{}>{}</text>\n",
      px(at.x), px(at.y), px(style.size), style.color, name_of(style.anchor), bold, turned,
      escaped(text));
}

std::string Svg::str() const {
  return fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" )"
                     R"(viewBox="0 0 {0} {1}" font-family="DejaVu Sans, Arial, sans-serif">)"
                     "\n<title>{2}</title>\n",
                     px(width_), px(height_), escaped(title_)) +
         R"(<rect x="0" y="0" width="100%" height="100%" fill="#ffffff"/>)"
         "\n" +
         marks_ + "</svg>\n";
}

double text_width(std::string_view text, double size) {
  double letters = 0;
  for (const char c : text)
    letters += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;  // UTF-8's first bytes
  return 0.62 * size * letters;
}

std::string shortened(std::string_view text, double room, double size) {
  if (text_width(text, size) <= room) return std::string(text);
  constexpr std::string_view kRest = "...";
  const auto is_inside_letter = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;  // of UTF-8
  };
  const double left = room - text_width(kRest, size);
  std::size_t kept = text.size() - 1;
  while (kept > 0 && (is_inside_letter(kept) || text_width(text.substr(0, kept), size) > left))
    --kept;
  return std::string(text.substr(0, kept)) + std::string(kRest);
}

}  // namespace rehearse::figures
