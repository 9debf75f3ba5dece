#include "exec/cuda/library.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace rehearse::exec::cuda {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& why) {
  throw std::runtime_error("CUDA: " + what + ": " + why);
}

}  // namespace

void* symbol_of(const Library& library, const char* function) {
  void* opened = ::dlopen(library.name, RTLD_NOW | RTLD_GLOBAL);
  if (opened == nullptr) {
    const std::string why = ::dlerror();
    opened = ::dlopen(library.built_with, RTLD_NOW | RTLD_GLOBAL);
    if (opened == nullptr) fail(library.name, why + "; " + ::dlerror());
  }
  // Never closed: the same library is counted, not loaded, again.
  void* const found = ::dlsym(opened, function);
  if (found == nullptr) fail(function, ::dlerror());
  return found;
}

}  // namespace rehearse::exec::cuda
