dpsbench_e2e_test(e2e_sim_start COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_start.sh)
dpsbench_e2e_test(e2e_sim_register COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_register.sh)
dpsbench_e2e_test(e2e_sim_control COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_control.sh)
dpsbench_e2e_test(e2e_sim_by_hand COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim_by_hand.sh)
