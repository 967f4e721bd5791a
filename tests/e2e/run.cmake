foreach(name suite report disk known verdicts faults board network ports certificate certs many night exec)
  dpsbench_e2e_test(e2e_run_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_${name}.sh TIMEOUT 300)
endforeach()
# Real time: a board's.
dpsbench_e2e_test(e2e_run_dialect COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_dialect.sh LABELS long TIMEOUT 300)
# The first fifty runs of the compressed year; `./bench year` has them all.
dpsbench_e2e_test(e2e_year COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/year.sh 50 1 LABELS long TIMEOUT 900)
dpsbench_e2e_test(e2e_run_nights COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_nights.sh LABELS long TIMEOUT 600)
# All rows once more: the long tier's.
dpsbench_e2e_test(e2e_run_reference COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_reference.sh LABELS long TIMEOUT 300)
dpsbench_e2e_test(e2e_run_misbehaviours COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_misbehaviours.sh LABELS long TIMEOUT 600)

# Dealt out, so that none takes long and they can run side by side.
set(weakness_parts 4)
foreach(part RANGE 1 ${weakness_parts})
  math(EXPR index "${part} - 1")
  dpsbench_e2e_test(e2e_run_weaknesses_${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_weaknesses.sh ${index} ${weakness_parts} TIMEOUT 300)
endforeach()
dpsbench_e2e_test(e2e_rig_devices COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/rig_devices.sh TIMEOUT 300)
dpsbench_e2e_test(e2e_try COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/try.sh TIMEOUT 300)
dpsbench_e2e_test(e2e_calibrate COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/calibrate.sh LABELS long TIMEOUT 600)
