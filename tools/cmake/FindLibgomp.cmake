# The OpenMP runtime that Debian's libdnnl runs on, whatever the compiler's own is: defines the target
# Libgomp::libgomp.
find_library(Libgomp_LIBRARY NAMES libgomp.so.1)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libgomp REQUIRED_VARS Libgomp_LIBRARY)
if(Libgomp_FOUND AND NOT TARGET Libgomp::libgomp)
  add_library(Libgomp::libgomp UNKNOWN IMPORTED)
  set_target_properties(Libgomp::libgomp PROPERTIES IMPORTED_LOCATION ${Libgomp_LIBRARY})
endif()
