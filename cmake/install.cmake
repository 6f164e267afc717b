# SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Sealane)

install(TARGETS sealane sealane-static EXPORT SealaneTargets
	LIBRARY NAMELINK_COMPONENT development
	FILE_SET HEADERS)
foreach(layer IN LISTS libraries)
	install(TARGETS sealane-${layer} EXPORT SealaneTargets
		LIBRARY NAMELINK_COMPONENT development
		FILE_SET HEADERS)
endforeach()
install(EXPORT SealaneTargets NAMESPACE Sealane:: DESTINATION ${package_dir})
configure_package_config_file(cmake/SealaneConfig.cmake.in ${PROJECT_BINARY_DIR}/package/SealaneConfig.cmake
	INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/SealaneConfigVersion.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES
	${PROJECT_BINARY_DIR}/package/SealaneConfig.cmake
	${PROJECT_BINARY_DIR}/package/SealaneConfigVersion.cmake
	DESTINATION ${package_dir})

# Where the library folder is relative, the pkg-config file finds its prefix from its own place,
# so that `cmake --install --prefix` and DESTDIR trees work; an absolute one is taken as it is.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
	set(pc_prefix ${CMAKE_INSTALL_PREFIX})
	set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
	file(RELATIVE_PATH pc_up /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
	string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
	set(pc_prefix "\${pcfiledir}/${pc_up}")
	set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
	set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
	set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/sealane.pc.in ${PROJECT_BINARY_DIR}/package/sealane.pc @ONLY)
foreach(layer IN LISTS libraries)
	configure_file(cmake/sealane-${layer}.pc.in ${PROJECT_BINARY_DIR}/package/sealane-${layer}.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/package/sealane-${layer}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/package/sealane.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET sealane-command)
	install(TARGETS sealane-command)
	# The command finds the library it was installed with, wherever the prefix is.
	if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} AND NOT IS_ABSOLUTE ${CMAKE_INSTALL_BINDIR})
		file(RELATIVE_PATH lib_from_bin /p/${CMAKE_INSTALL_BINDIR} /p/${CMAKE_INSTALL_LIBDIR})
		set_target_properties(sealane-command PROPERTIES INSTALL_RPATH "$ORIGIN/${lib_from_bin}")
		foreach(layer IN LISTS libraries)
			set_target_properties(sealane-${layer} PROPERTIES INSTALL_RPATH "$ORIGIN")
		endforeach()
	else()
		set_target_properties(sealane-command PROPERTIES INSTALL_RPATH ${CMAKE_INSTALL_FULL_LIBDIR})
	endif()
endif()

foreach(page IN LISTS man_pages)
	cmake_path(GET page EXTENSION LAST_ONLY section)
	string(SUBSTRING ${section} 1 1 section)
	install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
