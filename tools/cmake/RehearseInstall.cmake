# What `cmake --install` puts where: programs, libraries with their headers and a package configuration
# (find_package(rehearse)), and the scenarios with their device profiles.
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY REHEARSE_LIBRARIES)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/rehearse)
install(TARGETS ${libraries} EXPORT rehearse ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT rehearse NAMESPACE rehearse:: FILE rehearseTargets.cmake DESTINATION ${package})
install(TARGETS rehearse rehearse-exec RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS tools/mpirun DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME rehearse-mpirun)
install(DIRECTORY model cost sim exec tools DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rehearse
        FILES_MATCHING PATTERN "*.h" PATTERN "chakra" EXCLUDE)
install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/rehearse
        FILES_MATCHING PATTERN "*.yaml" PATTERN "*.json")

configure_package_config_file(tools/cmake/rehearseConfig.cmake.in
  ${PROJECT_BINARY_DIR}/rehearseConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rehearseConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/rehearseConfig.cmake ${PROJECT_BINARY_DIR}/rehearseConfigVersion.cmake
  tools/cmake/FindLibgomp.cmake tools/cmake/FindoneDNN.cmake tools/cmake/FindPCRE2.cmake tools/cmake/FindxxHash.cmake
  DESTINATION ${package})
