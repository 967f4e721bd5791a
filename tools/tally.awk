# Reads a ctest LastTest.log; prints "PASSED FAILED SKIPPED". A CMocka program counts with each of its tests, any other test as one.
# A test that ctest calls failed counts as failed at least once: a program that crashed prints no summary.
# The first FAILED or SKIPPED line of a test is counted; CMocka lists the same names a second time below its summary.
function close_test()
{
    if (name == "")
        return
    if (result == "Failed." && bad == 0)
        bad = 1
    if (ok + bad + skip == 0)
        result == "Skipped." ? skip++ : result == "Passed." ? ok++ : bad++
    passed += ok; failed += bad; skipped += skip
    name = ""
}
/^[0-9]+\/[0-9]+ Testing: /   { close_test(); name = $3; result = ""; ok = bad = skip = 0; in_list = 0; next }
/^\[==========\] .*test\(s\) run\./ { in_list = 1; next }
in_list == 0 && /^\[       OK \] /  { ok++; next }
in_list == 0 && /^\[  FAILED  \] /  { bad++; next }
in_list == 0 && /^\[  SKIPPED \] /  { skip++; next }
/^Test (Passed|Failed|Skipped)\.$/ { result = $2; next }
END { close_test(); printf "%d %d %d\n", passed, failed, skipped }
