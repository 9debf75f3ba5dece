// Libraries that are loaded when they are first called: they are large, and programs that never
// come to a GPU should neither wait for them nor need them.
#pragma once

namespace rehearse::exec::cuda {

// As libraries are found: by the loader, or where they were when this was built.
struct Library {
  const char* name;
  const char* built_with;
};
// A function of one of them. Throws std::runtime_error where there is none.
void* symbol_of(const Library& library, const char* function);

#define REHEARSE_LAZY(library, function)                              \
  (*[] {                                                              \
    static const auto loaded = reinterpret_cast<decltype(&function)>( \
        ::rehearse::exec::cuda::symbol_of(library, #function));       \
    return loaded;                                                    \
  }())

}  // namespace rehearse::exec::cuda
