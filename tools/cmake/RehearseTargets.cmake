# rehearse_library(NAME sources... [PUBLIC libraries...] [PRIVATE libraries...])
#   A static library rehearse_NAME with the alias rehearse::NAME, installed and exported.
# rehearse_warnings(TARGET)
#   The house's warnings, as errors.
# rehearse_optional(PACKAGE OPTION ...)
#   Looks for a package as OPTION says (AUTO, ON, OFF) and sets REHEARSE_HAVE_<PACKAGE>.
# rehearse_optional_cuda()
#   The same of nvcc 13 or later with cuBLASLt and cuDNN, as REHEARSE_WITH_CUDA says; and whether there is
#   NCCL besides.

function(rehearse_warnings target)
  # Contraction would let two compilers disagree about the last bit of a price.
  set(options -Wall -Wextra -Wconversion -Werror -ffp-contract=off
    # GCC 12 sees overlaps inside std::string that are not there (GCC bug 105651).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${options}>)
endfunction()

function(rehearse_library name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  set(target rehearse_${name})
  add_library(${target} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(rehearse::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/rehearse>)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  rehearse_warnings(${target})
  set_property(GLOBAL APPEND PROPERTY REHEARSE_LIBRARIES ${target})
endfunction()

macro(rehearse_optional package option)
  set(REHEARSE_HAVE_${package} OFF)
  if("${${option}}" STREQUAL "ON")
    find_package(${package} REQUIRED ${ARGN})
  elseif("${${option}}" STREQUAL "AUTO")
    find_package(${package} QUIET ${ARGN})
  endif()
  if(NOT "${${option}}" STREQUAL "OFF" AND ${package}_FOUND)
    set(REHEARSE_HAVE_${package} ON)
  endif()
endmacro()

macro(rehearse_optional_cuda)
  set(REHEARSE_HAVE_CUDA OFF)
  set(REHEARSE_HAVE_NCCL OFF)
  if(NOT "${REHEARSE_WITH_CUDA}" STREQUAL "OFF")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      # Machine code for Ampere and Hopper, what later ones compile themselves.
      set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPUs to compile for")
      enable_language(CUDA)
      find_package(CUDAToolkit 13.0 QUIET)
      find_package(cuDNN QUIET)
    endif()
    if(CUDAToolkit_FOUND AND cuDNN_FOUND)
      set(REHEARSE_HAVE_CUDA ON)
      find_package(NCCL QUIET)
      if(NCCL_FOUND)
        set(REHEARSE_HAVE_NCCL ON)
      endif()
    elseif("${REHEARSE_WITH_CUDA}" STREQUAL "ON")
      message(FATAL_ERROR "REHEARSE_WITH_CUDA is ON: it needs nvcc 13 or later, and cuDNN")
    endif()
  endif()
endmacro()
