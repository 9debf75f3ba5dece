// The colours of the page, in its light look: the pictures for papers have the same.
#pragma once

#include <string>
#include <string_view>

namespace rehearse {

// "#436eb7" of "forward": ops and buffers by their names, pools, "series0" to "series7", and what
// page/page.css has besides. Empty: there is none of that name.
std::string page_color(std::string_view name);

}  // namespace rehearse
