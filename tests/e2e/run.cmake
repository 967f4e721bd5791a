foreach(name suite reference weaknesses verdicts faults board certificate)
  dpsbench_e2e_test(e2e_run_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_${name}.sh TIMEOUT 300)
endforeach()
