;; Written by `python -m scripts poseidon`, which explains it; do not edit it.
(module
(memory (export "memory") 16 16)
(data (i32.const 256) 
"\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 288) 
"\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 320) 
"\01\04\00\7e\73\fd\ff\ff\ff\ff\0f\33\01\00\00\00\00\80\6f\ff\ff\ff\ff\ff\10\88\00\5e\ab\d4\ff\07")
(data (i32.const 352) 
"\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
"\e1\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\f0\fd\ff\ff\ff\ff\ff\07"
"\c1\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\d0\fb\ff\ff\ff\ff\ff\07")
(data (i32.const 448) 
"\ea\e1\21\c2\2e\05\48\80\da\a4\ac\b2\7c\1a\04\fb\71\95\e7\ea\13\83\81\62\de\bd\92\99\dd\6c\05\04"
"\47\f0\80\35\8f\5c\fd\6c\83\77\67\bd\2c\78\95\96\85\21\20\2c\75\3d\73\ae\65\96\e4\61\4f\55\84\04"
"\64\2c\53\75\69\31\0f\c9\17\c2\1e\22\ab\ed\fa\47\62\76\8c\16\65\ec\c4\74\7e\59\dd\d4\5a\9a\8f\05"
"\d8\ad\94\3e\f1\4d\86\2d\a2\ab\71\08\e0\bd\f7\f6\0c\a0\1f\67\01\39\a8\24\bc\90\9b\7f\b5\9d\12\01"
"\f3\65\97\38\0d\1a\81\70\e4\6f\4e\57\7f\67\07\4e\5f\1f\56\bb\3b\31\ba\0c\b8\26\6d\95\c4\fb\61\1f"
"\c9\56\49\c2\7f\90\42\08\9b\d4\39\2a\f5\4c\db\b5\12\14\f6\72\a8\b0\33\a0\5a\30\3c\18\6b\b6\1b\2c"
"\d1\a8\38\fc\c6\80\7a\6c\1c\af\6c\a4\e0\c7\99\2e\69\48\d3\e3\2c\9c\c4\d5\3a\52\2a\e3\4f\85\41\06"
"\90\9d\99\4e\a2\5d\d6\08\72\73\9b\86\8e\a3\30\55\04\49\ee\8c\d1\87\d4\82\fa\6a\b9\7b\8f\57\59\1b"
"\a0\c0\d5\9f\51\b9\f8\ef\ce\b7\ea\59\59\b0\ef\45\78\38\5d\45\62\a7\0a\81\25\ac\2e\99\9a\0d\09\2f"
"\b5\e2\f6\e2\0c\d0\d9\a3\53\79\eb\63\e7\db\27\0f\39\2d\2a\75\28\d6\0b\c8\10\2a\9f\96\ed\82\11\03"
"\81\d4\17\88\38\01\ec\bf\d9\1a\d3\c1\1e\a3\3d\24\50\f1\c2\6e\55\cc\d6\d5\ea\90\cb\dc\d4\3c\0a\1f"
"\f8\ef\b0\cd\90\ba\90\b5\29\07\86\26\e3\5e\41\72\c1\4e\22\32\06\4b\86\8f\6e\40\b7\7f\8c\16\0f\28"
"\66\6c\b6\9b\78\93\10\ad\ff\f6\80\05\5a\87\da\9c\fd\8e\72\d6\05\80\bc\80\5a\20\53\28\ba\8e\04\04"
"\af\c2\97\23\8b\be\5a\e0\1c\d0\9d\5a\7b\bd\09\1d\e7\07\ce\40\c1\78\57\92\b8\b4\9d\6c\a6\0d\cb\1a"
"\58\dd\63\49\9f\a9\f7\c3\7f\09\ca\d3\64\f0\aa\24\5c\00\cc\4e\0c\e1\18\59\90\02\1d\21\30\86\61\2d"
"\eb\20\21\3b\d9\39\d4\b1\5a\49\2d\4d\c0\bd\7b\f9\2e\a8\12\15\f3\60\3d\5c\23\2c\63\62\18\b3\2e\2e"
"\20\d8\87\9c\43\ee\f8\65\98\6f\94\7a\1f\54\c5\18\00\bb\bd\c6\1a\b3\83\c2\e2\fe\fc\b8\33\b2\e2\2a"
"\eb\84\87\9d\77\f5\b3\57\00\0b\9a\4d\40\16\87\5d\51\1d\51\a0\21\a7\bd\99\95\74\db\a2\f4\1a\4e\2f"
"\e1\5d\45\c7\3e\85\bd\f2\af\f8\4c\df\86\f9\2a\05\72\0a\ec\57\df\8a\d8\f6\f1\f6\32\f3\ba\f6\64\2e"
"\2a\66\ad\e9\38\7e\69\38\e9\fb\0a\38\28\74\c4\0b\d1\f9\42\2e\08\4c\fa\f0\22\16\07\e2\29\15\82\2e"
"\e3\cd\9f\47\c5\3c\0a\be\a3\de\3b\6b\ce\5d\8a\e9\ce\44\94\ea\fc\50\0d\e7\65\a1\b7\80\de\63\1e\2c"
"\7d\79\e2\c0\28\65\1a\d1\ec\73\c8\e2\31\f2\ef\9d\ba\32\f6\9e\18\59\9a\0d\00\3f\c3\8c\7a\44\21\2e"
"\4b\1f\58\cb\af\da\af\da\2b\68\08\3e\48\1e\84\b4\ad\fa\d6\7f\04\c6\31\7b\b6\d5\0b\10\47\0d\37\29"
"\9f\4a\29\51\6e\68\33\9d\14\f1\f5\8f\df\86\31\92\86\23\db\52\f0\78\2f\77\29\a6\c6\5b\e5\1f\12\2f"
"\92\14\ec\bd\33\c9\5a\22\fc\e3\f4\a9\48\02\47\00\99\c4\5a\9b\be\04\bc\6b\65\9b\8e\21\76\5e\0c\29"
"\2d\74\01\9d\ec\76\20\28\81\c5\b5\c1\e8\04\3a\1f\de\54\d5\76\64\2b\dd\8d\87\a6\b3\f4\c7\65\09\2b"
"\7f\76\e4\26\95\5b\7b\44\1d\93\45\ee\89\b3\10\52\f7\65\4f\0d\20\53\c7\5d\e4\84\72\19\08\83\7c\28"
"\3b\59\28\e8\bc\54\ac\2a\5f\7b\ea\0c\23\7d\ba\34\92\92\0d\c1\7c\f3\98\2a\02\9f\af\6c\9c\c6\6f\2e"
"\c6\9e\73\ef\c2\cd\9f\36\db\aa\52\ac\3c\b5\29\df\39\1c\62\48\f3\63\9e\2f\73\ec\c8\56\9e\9b\9f\2c"
"\08\92\63\91\94\88\40\49\84\75\49\38\c2\5e\db\d7\1e\ef\2d\b8\87\be\8d\0d\f5\6a\e1\6e\bf\83\f1\29"
"\7f\d4\d1\3d\e4\8a\80\10\44\1e\1d\aa\d1\2b\f7\42\f6\89\bb\17\aa\2a\c3\7d\e0\73\21\07\8d\a7\51\28"
"\cd\54\ff\06\23\46\54\44\44\fb\35\53\11\f0\f8\e5\c1\7f\28\b9\0f\63\8f\18\1f\50\98\38\06\fe\4f\2a"
"\e9\5f\74\c8\a7\3d\95\c6\9d\74\f8\9e\04\c4\49\95\fc\c4\0f\0a\3e\ba\6b\e4\4d\c0\21\d0\46\79\42\29"
"\d8\a4\73\f1\0f\73\e8\a5\41\0c\c6\11\ca\68\4e\94\9d\aa\77\dc\68\de\3d\30\91\ab\50\ac\a0\27\d3\2e"
"\c0\c1\ec\fc\9b\69\2e\67\84\1a\71\75\41\05\8d\f8\d5\cf\39\75\cd\ec\82\95\c5\a4\03\d0\70\80\31\29"
"\89\68\fa\5b\a8\83\7d\54\91\18\e6\35\eb\45\97\a7\7e\a2\bf\fb\bd\9b\79\49\03\80\0e\96\f1\ea\83\2a"
"\72\ee\38\a7\56\40\b6\9c\31\dc\4a\79\38\4b\93\ac\4a\19\79\11\5b\02\4d\64\4f\74\bd\51\5d\47\38\29"
"\a6\8c\5b\7c\42\ad\30\fa\85\c5\1f\ac\5f\ef\77\5c\2e\ed\ac\e5\3c\02\b0\c5\c4\01\ce\b5\c2\89\62\2e"
"\05\09\69\92\96\04\08\f5\c0\6d\94\88\5b\f4\15\68\7c\eb\dd\83\8f\32\69\c0\ee\ad\b0\09\bb\6b\85\29"
"\cf\a8\21\48\bb\c3\10\61\4c\bd\c2\82\c2\87\79\d5\73\9a\17\79\06\af\60\ec\a7\68\07\28\f9\52\f3\2e"
"\be\2d\4e\af\a0\5d\ab\b2\4d\dc\9d\ff\7e\2f\de\bf\32\01\48\7c\e7\73\a2\8b\11\4f\4f\2a\2f\0e\10\2b"
"\f5\af\91\e3\f9\92\55\1e\11\07\47\c5\dc\6a\20\ef\c6\d9\91\8a\00\83\52\11\c0\ed\c2\c1\75\f9\a6\2e"
"\ec\f1\52\2a\6a\c1\9a\d2\57\10\98\10\9a\4a\9d\8a\3c\ae\5c\01\4d\c0\48\6f\18\38\d4\d0\c9\a0\86\28"
"\a8\99\a0\1f\c8\7e\c3\c9\08\57\d4\0d\2a\f2\a3\5d\ac\58\85\66\f7\25\a3\54\74\95\f0\41\6d\44\2f\2f"
"\7c\7f\23\4b\a1\99\25\ba\71\d2\15\6c\3e\e1\6f\37\d3\2d\78\54\02\c3\c7\d6\ae\8c\1c\a9\b0\58\a4\2c"
"\50\e9\15\12\10\14\61\7a\4b\9d\45\1a\a9\f7\5f\d2\63\a2\f0\0c\d2\b8\c0\a3\59\6b\9e\59\b5\83\64\2d"
"\e8\9a\fe\5f\0f\27\10\60\6c\8b\23\42\ad\76\dd\b7\b5\95\8f\f3\30\82\c3\46\b4\d9\99\1b\4f\d7\34\2f"
"\ed\2d\f1\ee\0f\6a\cd\c1\79\26\f6\7b\fd\38\58\ef\0d\2e\e4\a7\b5\2a\dc\d9\4a\83\89\f0\fa\e3\82\29"
"\05\1c\bf\2f\5f\7a\7b\cc\1a\ac\d9\6c\0b\83\73\d8\66\30\81\db\04\bc\56\28\68\81\4d\c7\f3\12\77\2b"
"\8c\99\f4\d0\8a\37\73\8e\2c\42\41\55\d7\f7\07\27\65\4b\a1\70\b2\c8\5c\86\ca\59\01\96\b8\aa\29\2b"
"\12\bf\01\11\0b\db\f9\3b\c9\a9\cd\5c\d5\99\3f\bf\09\7d\44\2c\48\af\07\71\52\6e\2c\3c\fa\98\25\2f"
"\ff\e3\65\e9\d4\45\76\3f\a9\db\60\30\b4\cf\a1\67\07\43\c8\50\90\c8\1a\f2\f3\fd\c4\3f\6c\7f\36\2d"
"\8f\4f\c4\8a\ec\cb\2f\d3\e2\21\c3\73\58\d2\a5\05\a7\13\c6\ce\af\10\c3\7e\cf\bd\5e\c0\c3\00\9f\2d"
"\7f\43\e1\27\08\51\ee\a3\a2\e9\68\1a\79\58\8f\d1\59\5a\60\cb\47\64\14\7c\e1\cd\8f\a6\ab\a2\3c\28"
"\7c\69\b6\12\03\d5\86\d6\9e\c2\fa\0b\ba\fb\dd\3c\fb\3b\45\b3\74\71\6a\db\e6\84\6e\a7\eb\c8\78\2b"
"\01\51\fb\d4\0c\e9\37\ae\4a\ec\be\89\61\ce\9b\93\af\01\a7\2d\1f\00\16\eb\07\a3\0e\0b\2c\2f\ba\29"
"\4e\89\a6\49\a6\79\01\ed\a1\3c\73\d5\17\62\37\94\10\c2\26\47\31\bd\ad\4a\b9\26\03\26\99\ca\c1\2e"
"\97\db\07\eb\dd\e7\2b\81\09\e8\bf\41\e6\ad\52\ec\68\7e\84\6b\d6\67\19\24\de\22\4c\57\8b\36\42\2c"
"\52\af\de\ef\76\c4\98\9f\ab\83\91\63\56\e2\e8\b8\8e\9c\22\8e\85\3d\a7\02\fe\f2\58\f3\57\01\ba\2f"
"\49\e8\6a\6b\ef\58\d3\fb\b5\26\89\c7\5d\85\78\f7\7a\69\5d\83\53\dd\eb\43\cb\52\33\38\51\b2\cc\2d"
"\61\f6\a0\30\90\09\3b\a2\6d\8a\86\cf\ef\37\a2\81\5e\d1\4d\90\ec\b8\74\ad\d1\95\36\dc\86\d3\36\2a"
"\06\4e\da\05\49\b8\b2\ec\81\e6\f7\47\60\b3\7c\9a\0e\9e\d8\44\72\94\36\e8\8d\3c\07\c9\e9\14\5c\2f"
"\c6\38\b5\cd\72\13\e2\f0\06\42\f7\b1\14\e8\0f\4d\e9\56\09\53\1f\f4\1b\b0\dc\9a\ba\d8\66\e2\6f\2b"
"\06\ee\b8\38\01\ae\e9\40\5c\e3\d1\91\bb\a4\ec\99\b1\7a\9e\11\ab\52\f1\7e\ae\b6\ee\fe\3c\b7\98\2b"
"\bc\4c\f9\1e\33\66\29\1a\a1\b7\d5\ff\cf\15\7b\f4\e0\76\58\bb\8f\8e\2a\e2\f1\d5\9b\11\12\a4\cb\2b"
"\55\04\82\64\78\7e\09\42\22\c5\fa\5d\ae\5d\42\18\3a\5f\bd\c6\4d\be\93\9d\a4\f8\0a\87\ee\c1\c8\29"
"\1d\c7\f3\18\c8\79\99\c5\12\c1\7a\e9\9d\07\61\b8\47\48\0f\ae\7b\a3\e2\74\e7\7b\fb\26\8b\a7\b6\2a"
"\60\52\45\b2\49\a0\24\e5\75\d9\aa\b9\25\6d\13\ee\ce\ba\a8\d1\d8\61\a6\c0\ae\6f\22\20\ec\0b\17\2b"
"\73\81\e5\d5\7c\68\15\ad\e1\25\4d\e5\c3\9a\21\61\59\35\36\e2\8a\bc\cd\af\fe\b8\a2\ae\68\23\20\2e"
"\c9\ea\55\de\9d\cc\9b\b8\68\c3\4f\13\79\15\64\97\a0\85\a3\2a\d2\5f\42\27\d5\af\07\98\eb\e4\46\29"
"\59\b6\89\56\e0\2f\fb\a4\72\e5\56\86\a1\72\18\08\33\5a\d6\54\96\2f\7c\cb\eb\ca\89\34\00\3e\85\2d"
"\db\f1\b7\d1\e0\f9\f5\51\7d\3f\eb\2d\fc\a8\bf\b0\5f\f9\7e\a7\39\10\c2\ac\eb\3b\ec\98\ac\31\ad\2d"
"\40\53\5c\3a\4c\af\8b\4a\88\d2\a4\cc\6b\83\cc\da\b2\b2\7f\bf\43\6c\53\c0\d3\1b\d0\dc\e0\0b\93\2b"
"\95\4e\84\f4\7d\c9\6e\3d\ce\38\fd\49\2a\d7\45\70\d8\2c\f3\e0\c8\0c\c0\ad\8f\07\c1\33\a9\09\52\29"
"\73\9f\4d\9d\c0\82\94\9f\34\38\97\f5\ca\5f\17\3b\32\37\0f\0a\eb\59\d3\f0\a2\06\12\44\f0\b0\e8\2f"
"\7a\36\4b\a7\c5\1d\6a\4a\22\b5\4c\65\b2\ed\79\8d\0b\40\a5\63\6c\91\cc\0a\61\13\76\17\de\28\19\29"
"\55\70\97\53\c8\a1\c7\72\15\df\7d\75\25\bd\57\d5\ff\f2\c6\be\92\ef\0c\13\5c\d2\84\43\93\9d\62\2f"
"\15\0d\40\65\88\47\9b\26\4d\35\8d\c4\63\01\75\d2\84\16\7c\6d\52\2c\3f\ef\1f\5a\c3\cb\9b\55\58\2c"
"\71\3b\1d\77\d9\8a\db\29\3f\17\86\d8\22\4f\4c\2e\08\7f\a7\de\25\99\72\38\34\d1\fd\60\ea\43\f4\2f"
"\97\03\ae\7f\8f\b3\f9\23\39\a9\73\a1\e9\05\c3\23\6e\b0\e1\21\2c\d4\63\d8\80\38\08\66\d2\a3\2b\28"
"\d7\3b\3f\c8\ec\e7\37\8c\3c\17\8b\ae\0f\a3\0a\c2\2a\9a\8c\21\e8\05\dd\52\46\02\08\4b\68\95\23\2c"
"\8a\79\e3\ec\37\b1\e4\79\f3\5b\a3\04\bc\f2\13\db\29\0f\07\70\88\77\a2\a3\7f\54\f1\ea\61\58\d4\2d"
"\69\b6\bd\e2\7b\e4\a7\12\6d\9f\42\27\ee\6e\c6\06\b3\d3\a6\4d\6d\2c\4b\6f\78\15\ed\2a\7f\d3\02\2f"
"\4b\88\ef\b8\ff\40\db\dc\97\ec\8c\03\b0\78\60\52\fb\3a\03\3d\a0\74\3c\3c\84\c5\ab\8c\28\32\24\2d"
"\dd\a8\f5\54\a3\e1\13\e0\9f\1b\28\36\3a\08\50\ee\88\65\14\e2\86\9f\b7\e9\25\31\63\c9\e3\b5\f7\2c"
"\f4\60\10\c8\d5\ca\16\cb\7d\73\c5\58\b1\19\a9\cd\98\df\8a\2e\f7\1c\39\99\ad\50\cc\a8\40\c0\9c\2a"
"\0e\2f\c1\30\6d\15\f6\7e\7b\ce\89\78\c0\be\73\f7\3e\6a\4f\68\8e\e3\47\79\b3\20\6c\54\91\d8\ad\28"
"\84\c5\2c\ab\76\4d\34\40\72\4a\1f\ec\66\d0\5d\82\da\3d\b4\c6\cb\36\77\d6\22\2d\22\93\d3\63\f8\2d"
"\1c\1f\8e\ce\a5\51\c6\bf\3c\eb\ee\24\98\a9\c2\8a\02\dc\9b\8b\c7\db\20\74\b3\62\9f\db\e0\d2\fe\2a"
"\67\92\23\8a\9b\c0\0f\90\c6\92\16\2d\55\80\5b\05\5e\82\77\21\5b\1d\4c\af\81\69\3c\37\99\01\b0\28"
"\06\4f\76\72\17\48\94\56\3b\98\98\5e\3f\c1\ef\e0\aa\90\89\91\92\79\2f\a0\b8\8a\67\bf\c9\52\be\2f"
"\56\06\b3\00\86\f8\56\78\ed\78\2d\24\74\e8\e6\72\63\ff\13\1c\4e\93\67\75\00\1e\d5\70\81\33\ea\29"
"\a2\fe\97\a7\8a\0f\10\38\0a\98\7d\bf\3e\f1\50\e7\91\04\d4\a6\0e\bf\e9\75\6c\c1\54\cc\e8\95\f8\28"
"\9d\0b\48\b9\55\12\d9\13\8d\06\6c\89\b7\ea\67\ca\6b\0e\cb\01\51\c1\c4\0b\d1\2a\e2\84\b7\3f\d7\2f"
"\e9\3e\92\75\54\0e\ec\90\58\3a\61\cb\76\50\90\81\c3\1b\87\b0\6e\d8\36\62\20\8d\3f\df\29\f3\89\29"
"\88\ad\7d\de\81\cf\f1\83\81\ac\61\ee\22\2f\5a\25\57\28\40\fc\da\81\1a\b4\eb\88\cb\5c\c3\cd\80\28"
"\ed\53\dd\d5\db\bd\d0\fd\60\23\de\3b\2b\fb\b6\ba\68\d8\20\da\29\5a\69\ea\98\dc\5b\a4\a3\7e\d4\28"
"\60\b6\b2\d6\b3\0d\72\6b\50\be\91\93\56\97\67\d3\c3\a9\f6\17\cc\23\d6\1c\3f\97\af\04\ff\cd\20\2c"
"\d4\2f\00\f2\93\62\c9\0e\49\f7\29\70\56\65\78\e0\6a\c8\5e\a0\67\54\7b\bc\68\d9\a5\b8\8e\a3\1b\03"
"\6c\3e\58\5a\ff\ae\41\b8\02\9e\18\7a\e1\0a\50\ea\60\f1\ad\52\c3\1e\de\b5\7c\eb\cc\2e\a4\b7\20\05"
"\31\83\05\89\f9\dd\a3\da\c7\1f\47\d3\fe\06\ed\ed\d2\4b\a8\59\5c\b1\de\77\10\36\b8\b8\a6\1e\7b\02"
"\72\99\dd\b6\c6\27\26\04\c4\42\9a\6b\fe\77\bd\a6\27\66\b0\2e\d2\98\4f\4e\45\27\7b\a9\38\ba\72\1c"
"\b2\64\82\a6\6c\5a\00\1e\34\1b\bf\1e\c3\ab\9b\5a\06\83\a4\fd\c1\f8\a1\2e\76\03\34\af\9a\c9\df\2d"
"\a6\9a\6c\58\e1\2e\b9\f8\56\4c\cf\29\07\d0\85\96\e7\38\8c\cc\71\d6\ce\42\9e\75\00\e7\41\ca\be\07"
"\90\53\60\4d\e4\b2\96\c6\6d\d6\b8\14\2c\23\0b\48\a5\d3\b3\9a\ea\f8\e7\6e\dd\74\df\2c\ee\8e\c3\18"
"\d6\31\8f\d8\e9\71\1d\3e\ab\51\f6\86\4d\a8\43\39\4b\4b\58\11\1d\02\e5\c9\06\32\f2\ba\5f\e9\e6\2f"
"\60\39\a0\3e\e7\76\d3\ed\46\9c\09\ab\db\72\9c\be\d4\7e\2c\a9\ab\7a\2e\0a\42\6c\bc\f4\17\3d\77\05"
"\1f\7a\be\73\85\3a\ad\fc\da\86\e2\59\33\78\a5\7e\ac\21\f6\19\ee\31\f1\b6\29\0a\3c\54\ca\48\32\1d"
"\c4\5f\45\99\47\16\b8\a2\cd\0b\d6\a5\72\0a\df\1e\92\ca\b7\41\c9\89\4a\16\75\a1\2c\10\6a\d0\40\2a"
"\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
"\03\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\33\00\00\00\00\00\00\18"
"\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\55\00\00\00\00\00\00\28")
(func $permute (local $x0 i64) (local $x1 i64) (local $x2 i64) (local $x3 i64) (local $y0 i64) (local $y1 i64) (local $y2 i64) (local $y3 i64) (local $z0 i64) (local $z1 i64) (local $z2 i64) (local $z3 i64) (local $q0 i64) (local $q1 i64) (local $q2 i64) (local $q3 i64) (local $t0 i64) (local $t1 i64) (local $t2 i64) (local $t3 i64) (local $t4 i64) (local $t5 i64) (local $t6 i64) (local $t7 i64) (local $a i64) (local $ah i64) (local $a3 i64) (local $b i64) (local $bh i64) (local $b3 i64) (local $c i64) (local $h i64) (local $u i64) (local $d1 i64) (local $d2 i64) (local $d3 i64) (local $e2 i64) (local $e3 i64) (local $top_x i64) (local $top_y i64) (local $less_x i64) (local $less_y i64) (local $carry_x i64) (local $carry_y i64) (local $carry_z i64)
(local $key i32) (local $rounds i32) (local $lanes i32)
(local.set $x0 (i64.load offset=0 (i32.const 0)))
(local.set $x1 (i64.load offset=8 (i32.const 0)))
(local.set $x2 (i64.load offset=16 (i32.const 0)))
(local.set $x3 (i64.load offset=24 (i32.const 0)))
(local.set $y0 (i64.load offset=0 (i32.const 32)))
(local.set $y1 (i64.load offset=8 (i32.const 32)))
(local.set $y2 (i64.load offset=16 (i32.const 32)))
(local.set $y3 (i64.load offset=24 (i32.const 32)))
(local.set $z0 (i64.load offset=0 (i32.const 64)))
(local.set $z1 (i64.load offset=8 (i32.const 64)))
(local.set $z2 (i64.load offset=16 (i32.const 64)))
(local.set $z3 (i64.load offset=24 (i32.const 64)))
(local.set $key (i32.const 448))
(i64.add128 (local.get $x0) (i64.const 0) (i64.load offset=0 (local.get $key)) (i64.const 0)) (local.set $c) (local.set $x0)
(i64.add128 (i64.add128 (local.get $x1) (i64.const 0) (i64.load offset=8 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x1)
(i64.add128 (i64.add128 (local.get $x2) (i64.const 0) (i64.load offset=16 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x2)
(local.set $x3 (i64.add (i64.add (local.get $x3) (i64.load offset=24 (local.get $key))) (local.get $c)))
(i64.add128 (local.get $y0) (i64.const 0) (i64.load offset=32 (local.get $key)) (i64.const 0)) (local.set $c) (local.set $y0)
(i64.add128 (i64.add128 (local.get $y1) (i64.const 0) (i64.load offset=40 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y1)
(i64.add128 (i64.add128 (local.get $y2) (i64.const 0) (i64.load offset=48 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y2)
(local.set $y3 (i64.add (i64.add (local.get $y3) (i64.load offset=56 (local.get $key))) (local.get $c)))
(i64.add128 (local.get $z0) (i64.const 0) (i64.load offset=64 (local.get $key)) (i64.const 0)) (local.set $c) (local.set $z0)
(i64.add128 (i64.add128 (local.get $z1) (i64.const 0) (i64.load offset=72 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $z1)
(i64.add128 (i64.add128 (local.get $z2) (i64.const 0) (i64.load offset=80 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $z2)
(local.set $z3 (i64.add (i64.add (local.get $z3) (i64.load offset=88 (local.get $key))) (local.get $c)))
(local.set $key (i32.add (local.get $key) (i32.const 96)))
(loop $half
(local.set $rounds (i32.const 4))
(loop $rounds_again
(local.set $lanes (i32.const 3))
(loop $lanes_again
(local.set $d1 (i64.shl (local.get $z1) (i64.const 1)))
(local.set $d2 (i64.shl (local.get $z2) (i64.const 1)))
(local.set $d3 (i64.shl (local.get $z3) (i64.const 1)))
(local.set $e2 (i64.or (local.get $d2) (i64.shr_u (local.get $z1) (i64.const 63))))
(local.set $e3 (i64.or (local.get $d3) (i64.shr_u (local.get $z2) (i64.const 63))))
(i64.mul_wide_u (local.get $z0) (local.get $z0)) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (local.get $d1) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (local.get $e2) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (local.get $e3) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (local.get $z1) (local.get $z1)) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $d2) (local.get $z1)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $e3) (local.get $z1)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $z2) (local.get $z2)) (local.get $t4) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $d3) (local.get $z2)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $z3) (local.get $z3)) (local.get $t6) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $q0 (local.get $t4))
(local.set $q1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $q3) (local.set $q2)
(i64.mul_wide_u (local.get $q0) (local.get $z0)) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z1)) (local.get $t1) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z1)) (local.get $t2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z1)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z1)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z2)) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z2)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z2)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z2)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z3)) (local.get $t3) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z3)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z3)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z3)) (local.get $t6) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $z0 (local.get $t4))
(local.set $z1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $z3) (local.set $z2)
(local.set $q0 (local.get $z0))
(local.set $q1 (local.get $z1))
(local.set $q2 (local.get $z2))
(local.set $q3 (local.get $z3))
(local.set $z0 (local.get $y0))
(local.set $z1 (local.get $y1))
(local.set $z2 (local.get $y2))
(local.set $z3 (local.get $y3))
(local.set $y0 (local.get $x0))
(local.set $y1 (local.get $x1))
(local.set $y2 (local.get $x2))
(local.set $y3 (local.get $x3))
(local.set $x0 (local.get $q0))
(local.set $x1 (local.get $q1))
(local.set $x2 (local.get $q2))
(local.set $x3 (local.get $q3))
(br_if $lanes_again (local.tee $lanes (i32.sub (local.get $lanes) (i32.const 1)))))
(local.set $a3 (i64.add (local.get $x3) (local.get $y3)))
(local.set $b3 (i64.add (local.get $a3) (local.get $z3)))
(local.set $top_x (i64.add (i64.add (i64.add (local.get $b3) (local.get $x3)) (local.get $x3)) (i64.load offset=24 (local.get $key))))
(local.set $top_y (i64.add (i64.sub (local.get $b3) (i64.add (local.get $y3) (local.get $y3))) (i64.load offset=56 (local.get $key))))
(local.set $less_x (i64.sub (i64.const 1) (i64.shr_u (local.get $top_x) (i64.const 59))))
(local.set $less_y (i64.sub (i64.const 1) (i64.shr_u (local.get $top_y) (i64.const 59))))
(i64.add128 (local.get $x0) (i64.const 0) (local.get $y0) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z0) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x0) (i64.const 0)) (local.get $x0) (i64.const 0)) (i64.load offset=0 (local.get $key)) (i64.const 0)) (local.get $less_x) (i64.shr_s (local.get $less_x) (i64.const 63))) (local.set $carry_x) (local.set $x0)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $b) (local.get $bh) (i64.load offset=32 (local.get $key)) (i64.const 0)) (local.get $y0) (i64.const 0)) (local.get $y0) (i64.const 0)) (local.get $less_y) (i64.shr_s (local.get $less_y) (i64.const 63))) (local.set $carry_y) (local.set $y0)
(i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=64 (local.get $key)) (i64.const 0)) (local.get $z0) (i64.const 0)) (local.get $z0) (i64.const 0)) (local.set $carry_z) (local.set $z0)
(i64.add128 (local.get $x1) (i64.const 0) (local.get $y1) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z1) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x1) (i64.const 0)) (local.get $x1) (i64.const 0)) (i64.load offset=8 (local.get $key)) (i64.const 0)) (local.get $carry_x) (i64.shr_s (local.get $carry_x) (i64.const 63))) (local.set $carry_x) (local.set $x1)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $b) (local.get $bh) (i64.load offset=40 (local.get $key)) (i64.const 0)) (local.get $y1) (i64.const 0)) (local.get $y1) (i64.const 0)) (local.get $carry_y) (i64.shr_s (local.get $carry_y) (i64.const 63))) (local.set $carry_y) (local.set $y1)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=72 (local.get $key)) (i64.const 0)) (local.get $z1) (i64.const 0)) (local.get $z1) (i64.const 0)) (local.get $carry_z) (i64.shr_s (local.get $carry_z) (i64.const 63))) (local.set $carry_z) (local.set $z1)
(i64.add128 (local.get $x2) (i64.const 0) (local.get $y2) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z2) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x2) (i64.const 0)) (local.get $x2) (i64.const 0)) (i64.load offset=16 (local.get $key)) (i64.const 0)) (local.get $carry_x) (i64.shr_s (local.get $carry_x) (i64.const 63))) (local.set $carry_x) (local.set $x2)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $b) (local.get $bh) (i64.load offset=48 (local.get $key)) (i64.const 0)) (local.get $y2) (i64.const 0)) (local.get $y2) (i64.const 0)) (local.get $carry_y) (i64.shr_s (local.get $carry_y) (i64.const 63))) (local.set $carry_y) (local.set $y2)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=80 (local.get $key)) (i64.const 0)) (local.get $z2) (i64.const 0)) (local.get $z2) (i64.const 0)) (local.get $carry_z) (i64.shr_s (local.get $carry_z) (i64.const 63))) (local.set $carry_z) (local.set $z2)
(local.set $z3 (i64.add (i64.add (i64.sub (local.get $a3) (i64.add (local.get $z3) (local.get $z3))) (i64.load offset=88 (local.get $key))) (local.get $carry_z)))
(local.set $x3 (i64.add (i64.add (local.get $top_x) (local.get $carry_x)) (i64.mul (local.get $less_x) (i64.const 576460752303423505))))
(local.set $y3 (i64.add (i64.add (local.get $top_y) (local.get $carry_y)) (i64.mul (local.get $less_y) (i64.const 576460752303423505))))
(local.set $key (i32.add (local.get $key) (i32.const 96)))
(br_if $rounds_again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
(if (i32.lt_u (local.get $key) (i32.const 4032)) (then
(local.set $rounds (i32.const 83))
(loop $rounds_again
(local.set $d1 (i64.shl (local.get $z1) (i64.const 1)))
(local.set $d2 (i64.shl (local.get $z2) (i64.const 1)))
(local.set $d3 (i64.shl (local.get $z3) (i64.const 1)))
(local.set $e2 (i64.or (local.get $d2) (i64.shr_u (local.get $z1) (i64.const 63))))
(local.set $e3 (i64.or (local.get $d3) (i64.shr_u (local.get $z2) (i64.const 63))))
(i64.mul_wide_u (local.get $z0) (local.get $z0)) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (local.get $d1) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (local.get $e2) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (local.get $e3) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (local.get $z1) (local.get $z1)) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $d2) (local.get $z1)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $e3) (local.get $z1)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $z2) (local.get $z2)) (local.get $t4) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $d3) (local.get $z2)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $z3) (local.get $z3)) (local.get $t6) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $q0 (local.get $t4))
(local.set $q1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $q3) (local.set $q2)
(i64.mul_wide_u (local.get $q0) (local.get $z0)) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z1)) (local.get $t1) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z1)) (local.get $t2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z1)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z1)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z2)) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z2)) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z2)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z2)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $q0) (local.get $z3)) (local.get $t3) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q1) (local.get $z3)) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q2) (local.get $z3)) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $q3) (local.get $z3)) (local.get $t6) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $z0 (local.get $t4))
(local.set $z1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $z3) (local.set $z2)
(local.set $a3 (i64.add (local.get $x3) (local.get $y3)))
(local.set $b3 (i64.add (local.get $a3) (local.get $z3)))
(local.set $top_x (i64.add (i64.add (local.get $b3) (local.get $x3)) (local.get $x3)))
(local.set $top_y (i64.add (i64.sub (local.get $b3) (i64.add (local.get $y3) (local.get $y3))) (i64.const 1729382256910270515)))
(local.set $less_x (i64.sub (i64.const 1) (i64.shr_u (local.get $top_x) (i64.const 59))))
(local.set $less_y (i64.sub (i64.const 1) (i64.shr_u (local.get $top_y) (i64.const 59))))
(i64.add128 (local.get $x0) (i64.const 0) (local.get $y0) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z0) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x0) (i64.const 0)) (local.get $x0) (i64.const 0)) (local.get $less_x) (i64.shr_s (local.get $less_x) (i64.const 63))) (local.set $carry_x) (local.set $x0)
(i64.add128 (i64.sub128 (i64.sub128 (local.get $b) (local.get $bh) (local.get $y0) (i64.const 0)) (local.get $y0) (i64.const 0)) (i64.add (local.get $less_y) (i64.const 3)) (i64.shr_s (i64.add (local.get $less_y) (i64.const 3)) (i64.const 63))) (local.set $carry_y) (local.set $y0)
(i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=0 (local.get $key)) (i64.const 0)) (local.get $z0) (i64.const 0)) (local.get $z0) (i64.const 0)) (local.set $carry_z) (local.set $z0)
(i64.add128 (local.get $x1) (i64.const 0) (local.get $y1) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z1) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x1) (i64.const 0)) (local.get $x1) (i64.const 0)) (local.get $carry_x) (i64.shr_s (local.get $carry_x) (i64.const 63))) (local.set $carry_x) (local.set $x1)
(i64.add128 (i64.sub128 (i64.sub128 (local.get $b) (local.get $bh) (local.get $y1) (i64.const 0)) (local.get $y1) (i64.const 0)) (local.get $carry_y) (i64.shr_s (local.get $carry_y) (i64.const 63))) (local.set $carry_y) (local.set $y1)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=8 (local.get $key)) (i64.const 0)) (local.get $z1) (i64.const 0)) (local.get $z1) (i64.const 0)) (local.get $carry_z) (i64.shr_s (local.get $carry_z) (i64.const 63))) (local.set $carry_z) (local.set $z1)
(i64.add128 (local.get $x2) (i64.const 0) (local.get $y2) (i64.const 0)) (local.set $ah) (local.set $a)
(i64.add128 (local.get $a) (local.get $ah) (local.get $z2) (i64.const 0)) (local.set $bh) (local.set $b)
(i64.add128 (i64.add128 (i64.add128 (local.get $b) (local.get $bh) (local.get $x2) (i64.const 0)) (local.get $x2) (i64.const 0)) (local.get $carry_x) (i64.shr_s (local.get $carry_x) (i64.const 63))) (local.set $carry_x) (local.set $x2)
(i64.add128 (i64.sub128 (i64.sub128 (local.get $b) (local.get $bh) (local.get $y2) (i64.const 0)) (local.get $y2) (i64.const 0)) (local.get $carry_y) (i64.shr_s (local.get $carry_y) (i64.const 63))) (local.set $carry_y) (local.set $y2)
(i64.add128 (i64.sub128 (i64.sub128 (i64.add128 (local.get $a) (local.get $ah) (i64.load offset=16 (local.get $key)) (i64.const 0)) (local.get $z2) (i64.const 0)) (local.get $z2) (i64.const 0)) (local.get $carry_z) (i64.shr_s (local.get $carry_z) (i64.const 63))) (local.set $carry_z) (local.set $z2)
(local.set $z3 (i64.add (i64.add (i64.sub (local.get $a3) (i64.add (local.get $z3) (local.get $z3))) (i64.load offset=24 (local.get $key))) (local.get $carry_z)))
(local.set $x3 (i64.add (i64.add (local.get $top_x) (local.get $carry_x)) (i64.mul (local.get $less_x) (i64.const 576460752303423505))))
(local.set $y3 (i64.add (i64.add (local.get $top_y) (local.get $carry_y)) (i64.mul (local.get $less_y) (i64.const 576460752303423505))))
(local.set $key (i32.add (local.get $key) (i32.const 32)))
(br_if $rounds_again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
(i64.add128 (local.get $x0) (i64.const 0) (i64.load offset=0 (local.get $key)) (i64.const 0)) (local.set $c) (local.set $x0)
(i64.add128 (i64.add128 (local.get $x1) (i64.const 0) (i64.load offset=8 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x1)
(i64.add128 (i64.add128 (local.get $x2) (i64.const 0) (i64.load offset=16 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x2)
(local.set $x3 (i64.add (i64.add (local.get $x3) (i64.load offset=24 (local.get $key))) (local.get $c)))
(i64.add128 (local.get $y0) (i64.const 0) (i64.load offset=32 (local.get $key)) (i64.const 0)) (local.set $c) (local.set $y0)
(i64.add128 (i64.add128 (local.get $y1) (i64.const 0) (i64.load offset=40 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y1)
(i64.add128 (i64.add128 (local.get $y2) (i64.const 0) (i64.load offset=48 (local.get $key)) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y2)
(local.set $y3 (i64.add (i64.add (local.get $y3) (i64.load offset=56 (local.get $key))) (local.get $c)))
(local.set $key (i32.add (local.get $key) (i32.const 64)))
(br $half))))
(i64.store offset=0 (i32.const 0) (local.get $x0))
(i64.store offset=8 (i32.const 0) (local.get $x1))
(i64.store offset=16 (i32.const 0) (local.get $x2))
(i64.store offset=24 (i32.const 0) (local.get $x3))
(i64.store offset=0 (i32.const 32) (local.get $y0))
(i64.store offset=8 (i32.const 32) (local.get $y1))
(i64.store offset=16 (i32.const 32) (local.get $y2))
(i64.store offset=24 (i32.const 32) (local.get $y3))
(i64.store offset=0 (i32.const 64) (local.get $z0))
(i64.store offset=8 (i32.const 64) (local.get $z1))
(i64.store offset=16 (i32.const 64) (local.get $z2))
(i64.store offset=24 (i32.const 64) (local.get $z3))
)
(func $absorb_pair (param $first i32) (param $second i32) (local $x0 i64) (local $x1 i64) (local $x2 i64) (local $x3 i64) (local $y0 i64) (local $y1 i64) (local $y2 i64) (local $y3 i64) (local $z0 i64) (local $z1 i64) (local $z2 i64) (local $z3 i64) (local $q0 i64) (local $q1 i64) (local $q2 i64) (local $q3 i64) (local $t0 i64) (local $t1 i64) (local $t2 i64) (local $t3 i64) (local $t4 i64) (local $t5 i64) (local $t6 i64) (local $t7 i64) (local $a i64) (local $ah i64) (local $a3 i64) (local $b i64) (local $bh i64) (local $b3 i64) (local $c i64) (local $h i64) (local $u i64) (local $d1 i64) (local $d2 i64) (local $d3 i64) (local $e2 i64) (local $e3 i64) (local $top_x i64) (local $top_y i64) (local $less_x i64) (local $less_y i64) (local $carry_x i64) (local $carry_y i64) (local $carry_z i64)
(local $key i32) (local $rounds i32) (local $lanes i32)
(local.set $x0 (i64.load offset=0 (i32.const 0)))
(local.set $x1 (i64.load offset=8 (i32.const 0)))
(local.set $x2 (i64.load offset=16 (i32.const 0)))
(local.set $x3 (i64.load offset=24 (i32.const 0)))
(i64.mul_wide_u (i64.load offset=0 (local.get $first)) (i64.load offset=0 (i32.const 320))) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $first)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $first)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $first)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $first)) (i64.load offset=8 (i32.const 320))) (local.get $t1) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $first)) (i64.load offset=8 (i32.const 320))) (local.get $t2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $first)) (i64.load offset=8 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $first)) (i64.load offset=8 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $first)) (i64.load offset=16 (i32.const 320))) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $first)) (i64.load offset=16 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $first)) (i64.load offset=16 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $first)) (i64.load offset=16 (i32.const 320))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $first)) (i64.load offset=24 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $first)) (i64.load offset=24 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $first)) (i64.load offset=24 (i32.const 320))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $first)) (i64.load offset=24 (i32.const 320))) (local.get $t6) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $q0 (local.get $t4))
(local.set $q1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $q3) (local.set $q2)
(i64.add128 (local.get $x0) (i64.const 0) (local.get $q0) (i64.const 0)) (local.set $c) (local.set $x0)
(i64.add128 (i64.add128 (local.get $x1) (i64.const 0) (local.get $q1) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x1)
(i64.add128 (i64.add128 (local.get $x2) (i64.const 0) (local.get $q2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $x2)
(local.set $x3 (i64.add (i64.add (local.get $x3) (local.get $q3)) (local.get $c)))
(i64.store offset=0 (i32.const 0) (local.get $x0))
(i64.store offset=8 (i32.const 0) (local.get $x1))
(i64.store offset=16 (i32.const 0) (local.get $x2))
(i64.store offset=24 (i32.const 0) (local.get $x3))
(local.set $y0 (i64.load offset=0 (i32.const 32)))
(local.set $y1 (i64.load offset=8 (i32.const 32)))
(local.set $y2 (i64.load offset=16 (i32.const 32)))
(local.set $y3 (i64.load offset=24 (i32.const 32)))
(i64.mul_wide_u (i64.load offset=0 (local.get $second)) (i64.load offset=0 (i32.const 320))) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $second)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $second)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $second)) (i64.load offset=0 (i32.const 320))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $second)) (i64.load offset=8 (i32.const 320))) (local.get $t1) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $second)) (i64.load offset=8 (i32.const 320))) (local.get $t2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $second)) (i64.load offset=8 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $second)) (i64.load offset=8 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $second)) (i64.load offset=16 (i32.const 320))) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $second)) (i64.load offset=16 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $second)) (i64.load offset=16 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $second)) (i64.load offset=16 (i32.const 320))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (i64.load offset=0 (local.get $second)) (i64.load offset=24 (i32.const 320))) (local.get $t3) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=8 (local.get $second)) (i64.load offset=24 (i32.const 320))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=16 (local.get $second)) (i64.load offset=24 (i32.const 320))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(i64.add128 (i64.add128 (i64.mul_wide_u (i64.load offset=24 (local.get $second)) (i64.load offset=24 (i32.const 320))) (local.get $t6) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $q0 (local.get $t4))
(local.set $q1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $q3) (local.set $q2)
(i64.add128 (local.get $y0) (i64.const 0) (local.get $q0) (i64.const 0)) (local.set $c) (local.set $y0)
(i64.add128 (i64.add128 (local.get $y1) (i64.const 0) (local.get $q1) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y1)
(i64.add128 (i64.add128 (local.get $y2) (i64.const 0) (local.get $q2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $y2)
(local.set $y3 (i64.add (i64.add (local.get $y3) (local.get $q3)) (local.get $c)))
(i64.store offset=0 (i32.const 32) (local.get $y0))
(i64.store offset=8 (i32.const 32) (local.get $y1))
(i64.store offset=16 (i32.const 32) (local.get $y2))
(i64.store offset=24 (i32.const 32) (local.get $y3))
(call $permute)
)
(func $squeeze (local $x0 i64) (local $x1 i64) (local $x2 i64) (local $x3 i64) (local $y0 i64) (local $y1 i64) (local $y2 i64) (local $y3 i64) (local $z0 i64) (local $z1 i64) (local $z2 i64) (local $z3 i64) (local $q0 i64) (local $q1 i64) (local $q2 i64) (local $q3 i64) (local $t0 i64) (local $t1 i64) (local $t2 i64) (local $t3 i64) (local $t4 i64) (local $t5 i64) (local $t6 i64) (local $t7 i64) (local $a i64) (local $ah i64) (local $a3 i64) (local $b i64) (local $bh i64) (local $b3 i64) (local $c i64) (local $h i64) (local $u i64) (local $d1 i64) (local $d2 i64) (local $d3 i64) (local $e2 i64) (local $e3 i64) (local $top_x i64) (local $top_y i64) (local $less_x i64) (local $less_y i64) (local $carry_x i64) (local $carry_y i64) (local $carry_z i64)
(local $key i32) (local $rounds i32) (local $lanes i32)
(local.set $x0 (i64.load offset=0 (i32.const 0)))
(local.set $x1 (i64.load offset=8 (i32.const 0)))
(local.set $x2 (i64.load offset=16 (i32.const 0)))
(local.set $x3 (i64.load offset=24 (i32.const 0)))
(i64.mul_wide_u (local.get $x0) (i64.load offset=0 (i32.const 256))) (local.set $c) (local.set $t0)
(i64.add128 (i64.mul_wide_u (local.get $x1) (i64.load offset=0 (i32.const 256))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.mul_wide_u (local.get $x2) (i64.load offset=0 (i32.const 256))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.mul_wide_u (local.get $x3) (i64.load offset=0 (i32.const 256))) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(local.set $t4 (i64.add (local.get $c) (i64.const 1)))
(i64.add128 (i64.mul_wide_u (local.get $x0) (i64.load offset=8 (i32.const 256))) (local.get $t1) (i64.const 0)) (local.set $c) (local.set $t1)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x1) (i64.load offset=8 (i32.const 256))) (local.get $t2) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x2) (i64.load offset=8 (i32.const 256))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x3) (i64.load offset=8 (i32.const 256))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(local.set $t5 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $x0) (i64.load offset=16 (i32.const 256))) (local.get $t2) (i64.const 0)) (local.set $c) (local.set $t2)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x1) (i64.load offset=16 (i32.const 256))) (local.get $t3) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x2) (i64.load offset=16 (i32.const 256))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x3) (i64.load offset=16 (i32.const 256))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(local.set $t6 (local.get $c))
(i64.add128 (i64.mul_wide_u (local.get $x0) (i64.load offset=24 (i32.const 256))) (local.get $t3) (i64.const 0)) (local.set $c) (local.set $t3)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x1) (i64.load offset=24 (i32.const 256))) (local.get $t4) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t4)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x2) (i64.load offset=24 (i32.const 256))) (local.get $t5) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t5)
(i64.add128 (i64.add128 (i64.mul_wide_u (local.get $x3) (i64.load offset=24 (i32.const 256))) (local.get $t6) (i64.const 0)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $t6)
(local.set $t7 (i64.add (local.get $c) (i64.const 576460752303423505)))
(i64.mul_wide_u (local.get $t0) (i64.const 576460752303423505)) (local.set $c) (local.set $u)
(i64.sub128 (local.get $t3) (i64.const 0) (local.get $u) (i64.const 0)) (local.set $h) (local.set $t3)
(i64.add128 (i64.mul_wide_u (local.get $t1) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t4) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t4)
(i64.add128 (i64.mul_wide_u (local.get $t2) (i64.const 576460752303423505)) (local.get $c) (i64.const 0)) (local.set $c) (local.set $u)
(i64.add128 (i64.sub128 (local.get $t5) (i64.const 0) (local.get $u) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t5)
(i64.add128 (i64.sub128 (local.get $t6) (i64.const 0) (local.get $c) (i64.const 0)) (local.get $h) (local.get $h)) (local.set $h) (local.set $t6)
(local.set $t7 (i64.add (local.get $t7) (local.get $h)))
(local.set $x0 (local.get $t4))
(local.set $x1 (local.get $t5))
(i64.sub128 (local.get $t6) (local.get $t7) (i64.mul_wide_u (local.get $t3) (i64.const 576460752303423505))) (local.set $x3) (local.set $x2)
(i64.eq (local.get $x0) (i64.const 1)) (i64.eq (local.get $x3) (i64.const 576460752303423505)) (i32.and) (i64.eqz (i64.or (local.get $x1) (local.get $x2))) (i32.and) (if (then (local.set $x0 (i64.const 0)) (local.set $x3 (i64.const 0))))
(i64.store offset=0 (i32.const 192) (local.get $x0))
(i64.store offset=8 (i32.const 192) (local.get $x1))
(i64.store offset=16 (i32.const 192) (local.get $x2))
(i64.store offset=24 (i32.const 192) (local.get $x3))
)
(func $cut
(i64.store offset=0 (i32.const 192) (i64.and (i64.load offset=0 (i32.const 192)) (i64.load offset=0 (i32.const 224))))
(i64.store offset=8 (i32.const 192) (i64.and (i64.load offset=8 (i32.const 192)) (i64.load offset=8 (i32.const 224))))
(i64.store offset=16 (i32.const 192) (i64.and (i64.load offset=16 (i32.const 192)) (i64.load offset=16 (i32.const 224))))
(i64.store offset=24 (i32.const 192) (i64.and (i64.load offset=24 (i32.const 192)) (i64.load offset=24 (i32.const 224))))
)
(func $start (memory.fill (i32.const 0) (i32.const 0) (i32.const 96)))
;; Take felts into the hash; of an odd number the last one is left out.
(func $absorb (param $felts i32) (param $count i32)
(block $done (loop $next
(br_if $done (i32.lt_u (local.get $count) (i32.const 2)))
(call $absorb_pair (local.get $felts) (i32.add (local.get $felts) (i32.const 32)))
(local.set $felts (i32.add (local.get $felts) (i32.const 64)))
(local.set $count (i32.sub (local.get $count) (i32.const 2)))
(br $next))))
;; Take the last felts, and the padding: a one, and a zero where the number is even.
(func $finish (param $felts i32) (param $count i32)
(call $absorb (local.get $felts) (local.get $count))
(if (i32.and (local.get $count) (i32.const 1))
(then (call $absorb_pair
(i32.add (local.get $felts) (i32.shl (i32.sub (local.get $count) (i32.const 1)) (i32.const 5)))
(i32.const 256)))
(else (call $absorb_pair (i32.const 256) (i32.const 288))))
(call $squeeze))
;; Hash felts, which may come in several calls: all but the last of them give an even number.
(func (export "hash") (param $felts i32) (param $count i32) (param $first i32) (param $last i32)
(if (local.get $first) (then (call $start)))
(if (local.get $last)
(then (call $finish (local.get $felts) (local.get $count)))
(else (call $absorb (local.get $felts) (local.get $count)))))
;; Hash each of several entries after the same prefix, of an even number of felts, and cut the hash by the
;; mask. Unless `slot` is negative, the felt of each entry at that place (in bytes) is made the digest of the
;; entry before it; of the first one, what is in the digest's place.
(func (export "chain") (param $prefix i32) (param $prefix_count i32) (param $counts i32) (param $felts i32)
(param $slot i32) (param $digests i32) (param $entries i32) (local $count i32)
(call $start)
(call $absorb (local.get $prefix) (local.get $prefix_count))
(memory.copy (i32.const 96) (i32.const 0) (i32.const 96))
(block $done (loop $next
(br_if $done (i32.eqz (local.get $entries)))
(memory.copy (i32.const 0) (i32.const 96) (i32.const 96))
(if (i32.ge_s (local.get $slot) (i32.const 0)) (then
(memory.copy (i32.add (local.get $felts) (local.get $slot)) (i32.const 192) (i32.const 32))))
(local.set $count (i32.load (local.get $counts)))
(call $finish (local.get $felts) (local.get $count))
(call $cut)
(memory.copy (local.get $digests) (i32.const 192) (i32.const 32))
(local.set $counts (i32.add (local.get $counts) (i32.const 4)))
(local.set $felts (i32.add (local.get $felts) (i32.shl (local.get $count) (i32.const 5))))
(local.set $digests (i32.add (local.get $digests) (i32.const 32)))
(local.set $entries (i32.sub (local.get $entries) (i32.const 1)))
(br $next))))
;; Permute what is in the digest's place with one felt after another, and take the first element. A number
;; for each says whether the felt comes first (bit 0), and what the third element is (from bit 1 on; 0 to 2).
(func (export "path") (param $kinds i32) (param $felts i32) (param $count i32) (local $kind i32)
(block $done (loop $next
(br_if $done (i32.eqz (local.get $count)))
(local.set $kind (i32.load (local.get $kinds)))
(call $start)
(memory.copy (i32.const 64)
(i32.add (i32.const 352) (i32.shl (i32.shr_u (local.get $kind) (i32.const 1)) (i32.const 5)))
(i32.const 32))
(if (i32.and (local.get $kind) (i32.const 1))
(then (call $absorb_pair (local.get $felts) (i32.const 192)))
(else (call $absorb_pair (i32.const 192) (local.get $felts))))
(call $squeeze)
(local.set $kinds (i32.add (local.get $kinds) (i32.const 4)))
(local.set $felts (i32.add (local.get $felts) (i32.const 32)))
(local.set $count (i32.sub (local.get $count) (i32.const 1)))
(br $next))))
)
