# Run at build time: behaviours.yaml becomes behaviours_text of model.h.
cmake_minimum_required(VERSION 3.25)
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"broker_sim/fidelity/model.h\"\n\nconst char behaviours_text[] = {${bytes}0};\n")
