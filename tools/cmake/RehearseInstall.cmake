# What `cmake --install` puts where: programs, libraries with their headers and a package configuration
# (find_package(rehearse)), the scenarios with their device profiles, manual pages and completions.
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY REHEARSE_LIBRARIES)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/rehearse)
install(TARGETS ${libraries} EXPORT rehearse ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT rehearse NAMESPACE rehearse:: FILE rehearseTargets.cmake DESTINATION ${package})
install(TARGETS rehearse rehearse-exec RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS tools/mpirun DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME rehearse-mpirun)
install(DIRECTORY model cost sim exec tools DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rehearse
        FILES_MATCHING PATTERN "*.h" PATTERN "chakra" EXCLUDE PATTERN "figures" EXCLUDE)
install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/rehearse
        FILES_MATCHING PATTERN "*.yaml" PATTERN "*.json")

# Manual pages and completions, which the programs print themselves.
foreach(program rehearse rehearse-exec)
  set(help ${PROJECT_BINARY_DIR}/help/${program})
  add_custom_command(
    OUTPUT ${help}.1 ${help}.bash ${help}.fish ${help}.zsh
    COMMAND ${program} man > ${help}.1
    COMMAND ${program} completion bash > ${help}.bash
    COMMAND ${program} completion fish > ${help}.fish
    COMMAND ${program} completion zsh > ${help}.zsh
    DEPENDS ${program} VERBATIM)
  list(APPEND help_files ${help}.1)
  install(FILES ${help}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${help}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program})
  install(FILES ${help}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  install(FILES ${help}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _${program})
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/help)
add_custom_target(rehearse_help ALL DEPENDS ${help_files})

configure_package_config_file(tools/cmake/rehearseConfig.cmake.in
  ${PROJECT_BINARY_DIR}/rehearseConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rehearseConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/rehearseConfig.cmake ${PROJECT_BINARY_DIR}/rehearseConfigVersion.cmake
  tools/cmake/FindLibgomp.cmake tools/cmake/FindoneDNN.cmake tools/cmake/FindPCRE2.cmake tools/cmake/FindxxHash.cmake
  DESTINATION ${package})
