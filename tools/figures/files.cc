#include <cairo.h>
#include <fmt/format.h>
#include <librsvg/rsvg.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <set>

#include "tools/cli/cli.h"
#include "tools/figures/figures.h"

namespace rehearse::figures {
namespace {

constexpr double kScale = 2;  // 192 pixels an inch

// Axes have dots in their names, and files that others wrote may call strategies anything.
std::string file_name(const std::string& name, std::set<std::string>& taken) {
  std::string safe;
  for (const char c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_';
    safe += is_plain ? c : '_';
  }
  std::string unique = safe;
  for (int k = 2; !taken.insert(unique).second; ++k)
    unique = fmt::format("{}_{}", safe, k);
  return unique;
}

Status make_folder(const std::string& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return error(fmt::format("cannot make '{}': {}", folder, problem.message()));
  return success();
}

struct Unref {
  void operator()(RsvgHandle* handle) const { g_object_unref(handle); }
};
struct FreeError {
  void operator()(GError* problem) const { g_error_free(problem); }
};
struct Destroy {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

Status write_rendered(const Svg& picture, const std::string& path) {
  const std::string text = picture.str();
  GError* raised = nullptr;
  const std::unique_ptr<RsvgHandle, Unref> handle(rsvg_handle_new_from_data(
      reinterpret_cast<const guint8*>(text.data()), text.size(), &raised));
  REHEARSE_CHECK(handle != nullptr, "librsvg does not read our SVG: {}", raised->message);
  const RsvgRectangle all{0, 0, std::ceil(picture.width() * kScale),
                          std::ceil(picture.height() * kScale)};
  const std::unique_ptr<cairo_surface_t, Destroy> surface(cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, static_cast<int>(all.width), static_cast<int>(all.height)));
  const std::unique_ptr<cairo_t, Destroy> context(cairo_create(surface.get()));
  if (!rsvg_handle_render_document(handle.get(), context.get(), &all, &raised)) {
    const std::unique_ptr<GError, FreeError> problem(raised);
    return error(fmt::format("cannot draw '{}': {}", path, problem->message));
  }
  const cairo_status_t status = cairo_surface_write_to_png(surface.get(), path.c_str());
  if (status != CAIRO_STATUS_SUCCESS)
    return error(fmt::format("cannot write '{}': {}", path, cairo_status_to_string(status)));
  return success();
}

template <class Write>
Status write_all(const std::vector<Figure>& figures, const std::string& folder,
                 const std::string& ending, Write write) {
  const Status made = make_folder(folder);
  if (!made) return made;
  std::set<std::string> taken;
  for (const Figure& figure : figures) {
    const std::string name = file_name(figure.name, taken) + ending;
    const Status written = write(figure.picture, (std::filesystem::path(folder) / name).string());
    if (!written) return written;
  }
  return success();
}

}  // namespace

Status write_svg(const std::vector<Figure>& figures, const std::string& folder) {
  return write_all(figures, folder, ".svg", [](const Svg& picture, const std::string& path) {
    return cli::write_file(path, picture.str());
  });
}

Status write_png(const std::vector<Figure>& figures, const std::string& folder) {
  return write_all(figures, folder, ".png", write_rendered);
}

}  // namespace rehearse::figures
