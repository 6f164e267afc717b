# SPDX-License-Identifier: Apache-2.0
# sealane_library(<layer> <link>...): a library libsealane-<layer> of its own from src/<layer>/*.c and include/sealane/<layer>/*.h, shared and
# static, on the public headers of the core; what it links besides is private to it. There is none where there are no sources.
function(sealane_library layer)
	set(name sealane-${layer})
	file(GLOB sources CONFIGURE_DEPENDS src/${layer}/*.c)
	file(GLOB headers CONFIGURE_DEPENDS include/sealane/${layer}/*.h)
	if(NOT sources)
		return()
	endif()
	# Libraries of ours are used through their public headers; the static one links their static ones.
	set(ours ${ARGN})
	set(others ${ARGN})
	list(FILTER ours INCLUDE REGEX "^sealane")
	# One that has no sources yet is no target either.
	foreach(library IN LISTS ours)
		if(NOT TARGET ${library})
			list(REMOVE_ITEM ours ${library})
		endif()
	endforeach()
	list(FILTER others EXCLUDE REGEX "^sealane")
	set(ours_static ${ours})
	list(TRANSFORM ours_static APPEND -static)
	set(others_build ${others})
	list(TRANSFORM others_build REPLACE "^(.+)$" "$<BUILD_INTERFACE:\\1>")

	add_library(${name}-objects OBJECT ${sources})
	set_target_properties(${name}-objects PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
	target_include_directories(${name}-objects PRIVATE include src)
	target_compile_options(${name}-objects PRIVATE -include ${PROJECT_SOURCE_DIR}/cmake/export-${layer}.h)
	target_link_libraries(${name}-objects PRIVATE sealane-build ${others} Threads::Threads)

	add_library(${name} SHARED)
	add_library(${name}-static STATIC)
	add_library(Sealane::${name} ALIAS ${name})
	foreach(library ${name} ${name}-static)
		target_sources(${library}
			PRIVATE $<TARGET_OBJECTS:${name}-objects>
			PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
		set_target_properties(${library} PROPERTIES OUTPUT_NAME ${name} LINKER_LANGUAGE C)
	endforeach()
	target_link_libraries(${name} PUBLIC sealane ${ours}
		PRIVATE Threads::Threads ${others_build} $<BUILD_INTERFACE:sealane-build>)
	target_link_libraries(${name}-static PUBLIC ${ours_static} sealane-static ${others})
	target_link_options(${name} PRIVATE
		-Wl,--version-script=${PROJECT_SOURCE_DIR}/src/${layer}/${name}.map -Wl,-z,relro,-z,now)
	set_target_properties(${name} PROPERTIES
		VERSION ${PROJECT_VERSION} SOVERSION 0
		LINK_DEPENDS ${PROJECT_SOURCE_DIR}/src/${layer}/${name}.map
		VERIFY_INTERFACE_HEADER_SETS ON)
	set_property(GLOBAL APPEND PROPERTY SEALANE_LIBRARIES ${layer})
endfunction()
