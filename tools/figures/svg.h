// An SVG picture: marks in the order in which they are drawn, y downwards, lengths in pixels of
// 1/96 inch. Text stays text, in the reader's DejaVu Sans, Arial or sans-serif.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rehearse::figures {

struct Place {
  double x = 0, y = 0;
};
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

enum class Anchor { start, middle, end };

struct TextStyle {
  Anchor anchor = Anchor::start;
  double size = 11;
  std::string color = "#3a4552";
  bool is_bold = false;
  double turned = 0;  // degrees, clockwise around its place
};

class Svg {
 public:
  // title: what the picture shows, for who cannot see it.
  Svg(double width, double height, std::string title);

  // told: of the mark, shown by browsers to who points at it.
  void rect(const Box& box, const std::string& fill, std::string_view told = {});
  void outline(const Box& box, const std::string& stroke, double width = 1);
  void line(Place from, Place to, const std::string& stroke, double width = 1,
            bool is_dashed = false);
  void polyline(const std::vector<Place>& places, const std::string& stroke, double width = 1.5,
                std::string_view told = {});
  // Bent towards a place between its ends (a quadratic Bezier curve).
  void curve(Place from, Place towards, Place to, const std::string& stroke, double width,
             std::string_view told = {});
  void polygon(const std::vector<Place>& places, const std::string& fill,
               std::string_view told = {});
  void circle(Place center, double radius, const std::string& fill, std::string_view told = {});
  void ring(Place center, double radius, const std::string& stroke, std::string_view told = {});
  void text(Place at, std::string_view text, const TextStyle& style = {});

  double width() const { return width_; }
  double height() const { return height_; }
  std::string str() const;

 private:
  void mark(std::string element, std::string_view told);

  double width_, height_;
  std::string title_, marks_;
};

// What room a text takes, about: fonts differ.
double text_width(std::string_view text, double size = 11);
// The text, or as much of its beginning as has so much room, and "...".
std::string shortened(std::string_view text, double room, double size = 11);

}  // namespace rehearse::figures
