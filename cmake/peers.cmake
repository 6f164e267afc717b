# SPDX-License-Identifier: Apache-2.0
# Other libraries that the benchmarks run beside ours, each where it is installed: the sources see SEALANE_BENCH_<NAME>.

set(peers)

pkg_check_modules(ZMQ QUIET IMPORTED_TARGET libzmq)
if(ZMQ_FOUND)
	list(APPEND peers ZMQ)
	target_link_libraries(sealane-command PRIVATE PkgConfig::ZMQ)
endif()

find_package(nng CONFIG QUIET)
if(TARGET nng::nng)
	list(APPEND peers NNG)
	target_link_libraries(sealane-command PRIVATE nng::nng)
endif()

find_package(iceoryx_binding_c CONFIG QUIET)
if(TARGET iceoryx_binding_c::iceoryx_binding_c)
	list(APPEND peers ICEORYX)
	target_link_libraries(sealane-command PRIVATE iceoryx_binding_c::iceoryx_binding_c)
endif()

# FairMQ is C++ and pulls in Boost, so it gets a compiler of its own, and only where there is a source for it.
if(EXISTS ${PROJECT_SOURCE_DIR}/bench/peer-fairmq.cpp)
	include(CheckLanguage)
	check_language(CXX)
	if(CMAKE_CXX_COMPILER)
		enable_language(CXX)
		find_package(FairMQ CONFIG QUIET)
	endif()
	if(FairMQ_FOUND)
		list(APPEND peers FAIRMQ)
		add_library(sealane-peer-fairmq OBJECT bench/peer-fairmq.cpp)
		target_compile_features(sealane-peer-fairmq PRIVATE cxx_std_17)
		target_include_directories(sealane-peer-fairmq PRIVATE bench)
		target_link_libraries(sealane-peer-fairmq PRIVATE sealane FairMQ::FairMQ)
		target_link_libraries(sealane-command PRIVATE sealane-peer-fairmq FairMQ::FairMQ)
	endif()
endif()

list(TRANSFORM peers PREPEND SEALANE_BENCH_ OUTPUT_VARIABLE peer_definitions)
set_property(SOURCE ${bench_sources} APPEND PROPERTY COMPILE_DEFINITIONS ${peer_definitions})
list(JOIN peers " " peers_line)
message(STATUS "Benchmark peers: ${peers_line}")
