module claviger

go 1.26
