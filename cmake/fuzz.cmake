# SPDX-License-Identifier: Apache-2.0
# One libFuzzer target per fuzz/fuzz-*.c, which is also a test of bounded length (SEALANE_FUZZ_SECONDS, default 20).

file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/fuzz-*.c)
file(GLOB fuzz_helpers CONFIGURE_DEPENDS fuzz/*.c)
if(fuzz_sources)
	list(REMOVE_ITEM fuzz_helpers ${fuzz_sources})
endif()

foreach(source IN LISTS fuzz_sources)
	if(NOT TARGET sealane-static)
		break()
	endif()
	cmake_path(GET source STEM name)
	# fuzz-device-config links libsealane-device.
	string(REGEX REPLACE "^fuzz-([a-z]+).*$" "\\1" layer ${name})
	if(layer MATCHES "^(device|arrow|ccdb)$" AND NOT TARGET sealane-${layer}-static)
		continue()
	endif()
	add_executable(${name} ${source} ${fuzz_helpers})
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
	target_include_directories(${name} PRIVATE src fuzz)
	target_link_libraries(${name} PRIVATE sealane-build)
	if(TARGET sealane-${layer}-static)
		target_link_libraries(${name} PRIVATE sealane-${layer}-static)
	endif()
	target_link_libraries(${name} PRIVATE sealane-static)
	target_link_options(${name} PRIVATE -fsanitize=fuzzer)
	string(REGEX REPLACE "^fuzz-" "" short ${name})
	add_test(NAME fuzz.${short} COMMAND ${PROJECT_SOURCE_DIR}/cmake/run-fuzz
		$<TARGET_FILE:${name}> ${PROJECT_SOURCE_DIR}/fuzz/corpus/${short})
	set_tests_properties(fuzz.${short} PROPERTIES LABELS fuzz)
endforeach()
