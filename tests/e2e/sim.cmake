dpsbench_e2e_test(e2e_sim_start COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_start.sh)
dpsbench_e2e_test(e2e_sim_register COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_register.sh)
dpsbench_e2e_test(e2e_sim_registration COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_registration.sh)
dpsbench_e2e_test(e2e_sim_control COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_control.sh)
dpsbench_e2e_test(e2e_sim_by_hand COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_by_hand.sh)
dpsbench_e2e_test(e2e_sim_faults COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_faults.sh TIMEOUT 300)
dpsbench_e2e_test(e2e_sim_service_api COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_service_api.sh)

# Each knob, seen on the wire.
add_executable(sim_knobs sim_knobs.c sim_wire.c)
target_link_libraries(sim_knobs PRIVATE dpsbench_options harness_control harness_rig harness_wait certs base PkgConfig::CMOCKA PkgConfig::SSL)
set_target_properties(sim_knobs PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_dependencies(sim_knobs dpsbench-sim)
dpsbench_e2e_test(e2e_sim_knobs COMMAND sim_knobs TIMEOUT 300)
