BEGIN TRANSACTION;
CREATE TABLE "call_details" (
   "id" TEXT PRIMARY KEY,
   "ladder" TEXT,
   "milestones" TEXT,
   "samples" TEXT
);
INSERT INTO "call_details" VALUES('a52fc527caf8','[[0.001, "asterisk", "101 dials +79990000011"], [0.013, "telegram", "found +79990000011, calls through +79990000009"], [0.063, "call", "LIMITED, cause 42: Telegram refused phone.requestCall: PEER_FLOOD"]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('673d8a4b0455','[[0.0, "asterisk", "101 dials +79990000011"], [0.009, "telegram", "found +79990000011, calls through +79990000001"], [0.034, "telegram", "asked to call"], [0.047, "telegram", "rings"], [0.084, "telegram", "accepted, key agreed"], [0.106, "asterisk", "bridged, audio over rtp"], [0.148, "media", "connected"], [0.148, "call", "both sides talk"], [0.407, "call", "ANSWER, cause 16: ended by the PBX (cause 16)"]]','{"rings_s": 0.04683106699667405, "pbx_answered_s": null, "accepted_s": 0.08348894599839696, "talks_s": 0.14774001199839404}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('68e0fbc3d53a','[[0.0, "asterisk", "104 dials +79990000014"], [0.009, "telegram", "found +79990000014, calls through +79990000001"], [0.057, "telegram", "asked to call"], [0.057, "telegram", "rings"], [0.101, "telegram", "accepted, key agreed"], [0.121, "asterisk", "bridged, audio over rtp"], [0.26, "media", "connected"], [0.26, "call", "both sides talk"], [1.552, "call", "ANSWER, cause 38: audio lost: the media process 31506 of call 68e0fbc3d53a ended: by SIGSEGV"]]','{"rings_s": 0.057430525001109345, "pbx_answered_s": null, "accepted_s": 0.10104277299979003, "talks_s": 0.25976769699991564}','{"at_s": [1.3], "jitter_ms": [1.4], "lost": [0], "concealed_ms": [0], "to_telegram_dbfs": [-99.0], "from_telegram_dbfs": [-99.0]}');
INSERT INTO "call_details" VALUES('0712703c1992','[[0.001, "asterisk", "101 dials +79990009999"], [0.008, "call", "NOTFOUND, cause 1: Telegram refused contacts.resolvePhone: PHONE_NOT_OCCUPIED"]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('17aab7f6c5d6','[[0.0, "telegram", "+79990000016 calls"], [0.007, "telegram", "rings"], [0.037, "asterisk", "rings at 79990000001@soak"], [0.04, "call", "CANCEL, cause 16: the caller gave up (missed)"], [0.048, "keypad", "shown"], [0.052, "keypad", "hidden"]]','{"rings_s": 0.006770731997676194, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('eb3054a94f98','[[0.0, "asterisk", "102 dials +79990000012"], [0.004, "telegram", "found +79990000012, calls through +79990000001"], [0.034, "telegram", "asked to call"], [0.034, "telegram", "rings"], [2.034, "call", "NOANSWER, cause 19: no answer within 2 s"]]','{"rings_s": 0.034360225003183587, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('ed2bc26bdd5b','[[0.0, "telegram", "+79990000016 calls"], [0.018, "telegram", "rings"], [0.072, "asterisk", "rings at 79990000001@soak"], [0.083, "keypad", "not shown; a hint was sent"], [0.133, "asterisk", "the dialplan answered"], [0.196, "asterisk", "bridged, audio over rtp"], [0.225, "telegram", "accepted, key agreed"], [0.355, "media", "connected"], [0.355, "call", "both sides talk"], [2.803, "call", "ANSWER, cause 16: ended by the PBX (cause 16)"]]','{"rings_s": 0.01752934699834441, "pbx_answered_s": 0.13287475800098036, "accepted_s": 0.22470279299886897, "talks_s": 0.3548088319985254}','{"at_s": [1.4, 2.4], "jitter_ms": [1.2, 1.5], "lost": [0, 0], "concealed_ms": [0, 0], "to_telegram_dbfs": [-99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0]}');
INSERT INTO "call_details" VALUES('cdafd360d8ab','[[0.0, "telegram", "+79990000013 calls"], [0.013, "telegram", "rings"], [0.02, "keypad", "not shown; a hint was sent"], [0.023, "asterisk", "rings at 79990000008@soak-failing"], [0.024, "call", "ERROR, cause 38: ended by the PBX (cause 38)"]]','{"rings_s": 0.012846401001297636, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('124f7712cf09','[[0.0, "telegram", "+79990000012 calls"], [0.014, "telegram", "rings"], [0.024, "keypad", "not shown; a hint was sent"], [0.025, "asterisk", "rings at 79990000001@soak"], [8.038, "call", "NOANSWER, cause 19: ended by the PBX (cause 19)"]]','{"rings_s": 0.014231031000235816, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('bdee4feb0ed0','[[0.0, "call", "LIMITED, cause 42: line +79990000009 leaves out phone.requestCall for 86374 s more: Telegram said PEER_FLOOD"]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('1951a5eb411e','[[0.002, "asterisk", "101 dials +79990000011"], [0.023, "telegram", "found +79990000011, calls through +79990000001"], [0.118, "telegram", "asked to call"], [0.151, "telegram", "rings"], [0.222, "call", "UNAVAILABLE, cause 20: not taken on Telegram (disconnect)"]]','{"rings_s": 0.15049095400172519, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('ba5aec691476','[[0.008, "asterisk", "103 dials +79990000013"], [0.028, "telegram", "found +79990000013, calls through +79990000001"], [0.083, "telegram", "asked to call"], [0.1, "telegram", "rings"], [0.113, "call", "CANCEL, cause 127: the caller gave up (cause 127)"]]','{"rings_s": 0.09973870400062879, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('584ea4fe2aeb','[[0.01, "asterisk", "106 dials +79990000016"], [0.03, "telegram", "found +79990000016, calls through +79990000001"], [0.256, "telegram", "asked to call"], [0.257, "telegram", "rings"], [0.448, "telegram", "accepted, key agreed"], [0.535, "asterisk", "bridged, audio over rtp"], [5.536, "media", "not connected within 5 s"], [5.583, "telegram", "asked to call"], [5.587, "telegram", "rings"], [5.589, "call", "ERROR, cause 38: POST /channels/astergram-sandbox-1795659486.62/ring: Asterisk answered 503: Asterisk not booted"]]','{"rings_s": 0.2567458320008882, "pbx_answered_s": null, "accepted_s": 0.4475933520006947, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('b382dfc18eec','[[0.0, "telegram", "+79990000014 calls"], [0.019, "telegram", "rings"], [0.096, "asterisk", "rings at 79990000001@soak"], [0.107, "asterisk", "the dialplan answered"], [0.132, "keypad", "shown"], [0.193, "asterisk", "bridged, audio over rtp"], [0.279, "telegram", "accepted, key agreed"], [0.497, "media", "connected"], [0.498, "call", "both sides talk"], [2.829, "keys", "a key was pressed"], [2.829, "call", "ANSWER, cause 16: ended on Telegram (hangup)"], [2.889, "keypad", "hidden"]]','{"rings_s": 0.018938292996608652, "pbx_answered_s": 0.10684173599656788, "accepted_s": 0.27850211699842475, "talks_s": 0.49752842099769623}','{"at_s": [1.5, 2.5], "jitter_ms": [5.1, 2.8], "lost": [0, 0], "concealed_ms": [0, 0], "to_telegram_dbfs": [-99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0]}');
INSERT INTO "call_details" VALUES('89bc5e459fbd','[[0.0, "asterisk", "103 dials +79990000013"], [0.01, "telegram", "found +79990000013, calls through +79990000001"], [0.044, "telegram", "asked to call"], [0.056, "telegram", "rings"], [0.06, "call", "BUSY, cause 17: not taken on Telegram (busy)"]]','{"rings_s": 0.05605178500263719, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('91b3cb1df6f0','[[0.027, "telegram", "+79990000013 is to be called back"], [0.059, "asterisk", "rings at agent@soak"], [0.083, "asterisk", "the dialplan answered"], [0.181, "telegram", "asked to call"], [0.184, "telegram", "rings"], [0.201, "telegram", "accepted, key agreed"], [0.35, "asterisk", "bridged, audio over rtp"], [0.544, "media", "connected"], [0.544, "call", "both sides talk"], [2.622, "call", "ANSWER, cause 16: ended on Telegram (hangup)"]]','{"rings_s": 0.18440920699868002, "pbx_answered_s": 0.0831171979989449, "accepted_s": 0.20074458299859543, "talks_s": 0.543842503997439}','{"at_s": [1.6, 2.6], "jitter_ms": [4.6, 2.1], "lost": [0, 0], "concealed_ms": [0, 0], "to_telegram_dbfs": [-99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0]}');
INSERT INTO "call_details" VALUES('748bcbc9594f','[[0.0, "asterisk", "101 dials +79990000011"], [0.017, "telegram", "found +79990000011, calls through +79990000001"], [0.046, "telegram", "asked to call"], [0.058, "telegram", "rings"], [0.13, "telegram", "accepted, key agreed"], [0.225, "asterisk", "bridged, audio over rtp"], [0.351, "media", "connected"], [0.351, "call", "both sides talk"], [2.145, "call", "ANSWER, cause 16: ended by the administrator"]]','{"rings_s": 0.058097356999496697, "pbx_answered_s": null, "accepted_s": 0.12985555199702503, "talks_s": 0.35073875799935195}','{"at_s": [1.4], "jitter_ms": [2.0], "lost": [0], "concealed_ms": [0], "to_telegram_dbfs": [-99.0], "from_telegram_dbfs": [-99.0]}');
INSERT INTO "call_details" VALUES('66a0feded008','[[0.0, "telegram", "+79990000012 calls"], [0.018, "telegram", "rings"], [0.065, "asterisk", "rings at 79990000001@soak"], [0.099, "call", "BUSY, cause 17: ended by the PBX (cause 17)"], [0.104, "keypad", "shown"], [0.135, "keypad", "hidden"]]','{"rings_s": 0.018348705998505466, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('9a2723ea58c7','[[0.002, "asterisk", "102 dials +79990000012"], [0.05, "telegram", "found +79990000012, calls through +79990000001"], [4.205, "telegram", "asked to call"], [8.054, "telegram", "rings"], [8.062, "call", "ERROR, cause 38: POST /channels/astergram-sandbox-1795659508.40/ring: the connection to Asterisk broke (Cannot write to closing transport); whether it was carried out is unknown"]]','{"rings_s": 8.054225425999903, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('d439166911c4','[[0.0, "call", "UNAVAILABLE, cause 38: line +79990000001 is connecting: Telegram does not answer; connecting again."]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('64f0972d5fe4','[[0.0, "telegram", "+79990000014 calls"], [0.017, "telegram", "rings"], [0.045, "call", "ERROR, cause 38: POST /channels: the connection to Asterisk broke (Server disconnected); whether it was carried out is unknown"], [0.065, "keypad", "shown"], [0.158, "keypad", "hidden"]]','{"rings_s": 0.017316830999334343, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('c6df7c7df504','[[0.0, "telegram", "+79990000014 calls"], [0.015, "telegram", "rings"], [0.049, "call", "ERROR, cause 38: POST /channels: the connection to Asterisk broke ([Errno 104] Connection reset by peer); whether it was carried out is unknown"], [0.06, "keypad", "shown"], [0.097, "keypad", "hidden"]]','{"rings_s": 0.015174664000369376, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('152cddf29d14','[[0.004, "telegram", "+79990000015 calls"], [0.03, "telegram", "rings"], [0.094, "keypad", "shown"], [0.096, "call", "ERROR, cause 38: POST /channels: the connection to Asterisk broke ([Errno None] Can not write request body for http://127.0.0.1:42391/ari/channels?endpoint=Local/79990000001@soak/n&app=telegram&callerId=%22Person+5%22+%3C%2B79990000015%3E&timeout=-1&channelId=astergram-telegram-be933090765e49f7a03ce8908fd9959c&otherChannelId=astergram-telegram-be933090765e49f7a03ce8908fd9959c-far&formats=opus); whether it was carried out is unknown"], [0.121, "keypad", "hidden"]]','{"rings_s": 0.029898438002419425, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('7d6421ad1227','[[0.0, "asterisk", "105 dials +79990009999"], [0.006, "call", "NOTFOUND, cause 1: +79990009999 was not on Telegram when it was last asked, a short time ago"]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('46152fe3fd90','[[0.003, "asterisk", "101 dials +79990000011"], [0.013, "telegram", "found +79990000011, calls through +79990000001"], [0.087, "telegram", "asked to call"], [0.095, "telegram", "rings"], [0.137, "telegram", "accepted, key agreed"], [0.177, "asterisk", "bridged, audio over rtp"], [0.315, "media", "connected"], [0.315, "call", "both sides talk"], [2.693, "asterisk", "transferred to Local/600@phones-0000000c;1"], [4.753, "call", "ANSWER, cause 16: ended on Telegram (hangup)"]]','{"rings_s": 0.09492731700083823, "pbx_answered_s": null, "accepted_s": 0.13691472800201154, "talks_s": 0.31530781499895966}','{"at_s": [1.3, 2.3, 3.3, 4.3], "jitter_ms": [2.2, 2.2, 1.0, 1.1], "lost": [0, 0, 0, 0], "concealed_ms": [0, 0, 0, 0], "to_telegram_dbfs": [-99.0, -99.0, -75.1, -85.5], "from_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0]}');
INSERT INTO "call_details" VALUES('0ee24864c94a','[[0.0, "asterisk", "101 dials +79990000007"], [0.11, "telegram", "found 5000000006, calls through +79990000001"], [0.25, "call", "RESTRICTED, cause 21: Telegram refused phone.requestCall: USER_PRIVACY_RESTRICTED"]]','{"rings_s": null, "pbx_answered_s": null, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('f479ed38b3b1','[[0.0, "asterisk", "103 dials +79990000013"], [0.007, "telegram", "found +79990000013, calls through +79990000001"], [0.067, "telegram", "asked to call"], [0.101, "telegram", "rings"], [0.219, "telegram", "accepted, key agreed"], [0.254, "asterisk", "bridged, audio over rtp"], [5.255, "media", "not connected within 5 s"], [5.466, "telegram", "asked to call"], [5.507, "telegram", "rings"], [5.595, "telegram", "accepted, key agreed"], [5.645, "asterisk", "bridged, audio over rtp"], [10.684, "media", "not connected within 5 s"], [10.833, "call", "ERROR, cause 38: Telegram''s media did not connect within 5 s"]]','{"rings_s": 0.10112582800138625, "pbx_answered_s": null, "accepted_s": 0.2185434909988544, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('085f5dae06c3','[[0.0, "telegram", "+79990000012 calls"], [0.05, "telegram", "rings"], [0.117, "asterisk", "rings at 79990000001@soak"], [0.122, "asterisk", "the dialplan answered"], [0.202, "keypad", "shown"], [0.25, "asterisk", "bridged, audio over rtp"], [0.347, "telegram", "accepted, key agreed"], [5.348, "media", "not connected within 5 s"], [5.349, "call", "ERROR, cause 38: Telegram''s media did not connect within 5 s"], [6.856, "keypad", "hidden"]]','{"rings_s": 0.0496094299996912, "pbx_answered_s": 0.1220431740002823, "accepted_s": 0.34714044499924057, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('5ef2c2fb96a0','[[0.002, "telegram", "+79990000013 calls"], [0.033, "telegram", "rings"], [0.127, "asterisk", "rings at 79990000001@soak"], [0.135, "asterisk", "the dialplan answered"], [0.166, "keypad", "shown"], [0.26, "asterisk", "bridged, audio over rtp"], [0.36, "telegram", "accepted, key agreed"], [0.589, "media", "connected"], [0.589, "call", "both sides talk"], [0.826, "call", "ANSWER, cause 38: audio lost: the media process 6090 of call 5ef2c2fb96a0 ended: by SIGSEGV"], [0.892, "keypad", "hidden"]]','{"rings_s": 0.03287777999867103, "pbx_answered_s": 0.13494226900002104, "accepted_s": 0.35970363399974303, "talks_s": 0.5890332210001361}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('def4811b5291','[[0.008, "asterisk", "105 dials +79990000015"], [0.05, "telegram", "found +79990000015, calls through +79990000001"], [0.296, "telegram", "asked to call"], [0.393, "telegram", "rings"], [0.581, "telegram", "accepted, key agreed"], [0.649, "asterisk", "bridged, audio over rtp"], [1.009, "media", "connected"], [1.009, "call", "both sides talk"], [1.203, "call", "ANSWER, cause 38: POST /channels/astergram-sandbox-1795659564.147/answer: the connection to Asterisk broke (Server disconnected); whether it was carried out is unknown"]]','{"rings_s": 0.39263430800201604, "pbx_answered_s": null, "accepted_s": 0.5811611099998117, "talks_s": 1.0089117130009981}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('bc5952720417','[[0.0, "telegram", "+79990000016 calls"], [0.046, "telegram", "rings"], [0.183, "asterisk", "rings at 79990000001@soak"], [0.294, "asterisk", "the dialplan answered"], [0.317, "keypad", "shown"], [0.801, "asterisk", "bridged, audio over rtp"], [0.976, "telegram", "accepted, key agreed"], [1.729, "media", "connected"], [1.729, "call", "both sides talk"], [5.934, "keys", "a key was lost: AriUnreachable"], [18.997, "call", "ANSWER, cause 16: ended on Telegram (hangup)"], [19.16, "keypad", "hidden"]]','{"rings_s": 0.046376250000321306, "pbx_answered_s": 0.29347136999786017, "accepted_s": 0.9763278999998874, "talks_s": 1.728908507997403}','{"at_s": [2.7, 3.7, 4.8, 5.8], "jitter_ms": [3.8, 1.2, 3.1, 2.4], "lost": [0, 0, 0, 0], "concealed_ms": [0, 0, 0, 0], "to_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0]}');
INSERT INTO "call_details" VALUES('ea90a03698e3','[[0.001, "telegram", "+79990000012 calls"], [0.294, "telegram", "rings"], [0.354, "asterisk", "rings at 79990000001@soak"], [0.426, "asterisk", "the dialplan answered"], [0.435, "keypad", "shown"], [0.68, "call", "ERROR, cause 38: POST /bridges: the connection to Asterisk broke ([Errno 104] Connection reset by peer); whether it was carried out is unknown"], [1.469, "keypad", "hidden"]]','{"rings_s": 0.2937764789967332, "pbx_answered_s": 0.4259450269964873, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('cb2910366a98','[[0.002, "telegram", "+79990000012 calls"], [0.037, "telegram", "rings"], [0.085, "asterisk", "rings at 79990000001@soak"], [0.132, "asterisk", "the dialplan answered"], [0.16, "keypad", "shown"], [0.291, "asterisk", "bridged, audio over rtp"], [10.326, "call", "CANCEL, cause 26: answered on another device"], [10.564, "keypad", "hidden"]]','{"rings_s": 0.03741723300117883, "pbx_answered_s": 0.13149080400035018, "accepted_s": null, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('1d9f690d2334','[[0.002, "telegram", "+79990000015 calls"], [0.017, "telegram", "rings"], [0.075, "asterisk", "rings at 79990000001@soak"], [0.092, "keypad", "shown"], [0.113, "asterisk", "the dialplan answered"], [0.153, "asterisk", "bridged, audio over rtp"], [0.218, "telegram", "accepted, key agreed"], [0.374, "media", "connected"], [0.374, "call", "both sides talk"], [6.079, "call", "ANSWER, cause 38: ended by the PBX (cause 38)"], [6.22, "keypad", "hidden"]]','{"rings_s": 0.01715796500138822, "pbx_answered_s": 0.11317122599939466, "accepted_s": 0.2183302179983002, "talks_s": 0.3739955249984632}','{"at_s": [1.4, 2.4, 3.4, 4.4], "jitter_ms": [2.5, 2.5, 2.5, 2.5], "lost": [0, 0, 0, 0], "concealed_ms": [60, 60, 60, 60], "to_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0]}');
INSERT INTO "call_details" VALUES('9fe16f2a313a','[[0.009, "telegram", "+79990000016 calls"], [0.027, "telegram", "rings"], [0.057, "asterisk", "rings at 79990000001@soak"], [0.065, "keypad", "shown"], [0.068, "asterisk", "the dialplan answered"], [0.097, "asterisk", "bridged, audio over rtp"], [0.144, "telegram", "accepted, key agreed"], [0.277, "media", "connected"], [0.277, "call", "both sides talk"], [8.092, "telegram", "signalling fails, the call goes on: Telegram refused phone.sendSignalingData: CALL_ALREADY_DECLINED"], [8.373, "call", "ANSWER, cause 16: ended on Telegram (hangup)"], [8.913, "keypad", "hidden"]]','{"rings_s": 0.026865796000492992, "pbx_answered_s": 0.0682568509982957, "accepted_s": 0.14424034599869628, "talks_s": 0.2769974689981609}','{"at_s": [1.3, 2.3, 3.3, 4.3], "jitter_ms": [2.1, 1.8, 1.8, 3.2], "lost": [0, 0, 0, 0], "concealed_ms": [0, 0, 0, 0], "to_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0], "from_telegram_dbfs": [-99.0, -99.0, -99.0, -99.0]}');
INSERT INTO "call_details" VALUES('8c8b98eafc05','[[0.0, "asterisk", "102 dials +79990000012"], [0.009, "telegram", "found +79990000012, calls through +79990000001"], [0.043, "telegram", "asked to call"], [0.064, "telegram", "rings"], [0.147, "telegram", "accepted, key agreed"], [0.273, "asterisk", "bridged, audio over rtp"], [5.273, "media", "not connected within 5 s"], [5.43, "telegram", "asked to call"], [10.234, "call", "BUSY, cause 16: not taken on Telegram (hangup)"]]','{"rings_s": 0.0639183769999363, "pbx_answered_s": null, "accepted_s": 0.14687267200133647, "talks_s": null}','{"at_s": [], "jitter_ms": [], "lost": [], "concealed_ms": [], "to_telegram_dbfs": [], "from_telegram_dbfs": []}');
INSERT INTO "call_details" VALUES('00000bef0001','[[0.0, "telegram", "rings"], [0.25, "asterisk", "the dialplan answered"], [0.5, "telegram", "accepted, key agreed"], [0.75, "call", "both sides talk"], [1.0, "telegram", "+79990000002 is to be called back"], [1.25, "asterisk", "rings at 79990000001@from-telegram"], [1.5, "telegram", "found +79990000002, calls through +79990000001"], [1.75, "telegram", "asked to call"], [2.0, "telegram", "who was found earlier is not there any more: asks again"], [2.25, "asterisk", "bridged, audio over websocket"], [2.5, "asterisk", "transferred to PJSIP/102-00000003"], [2.75, "asterisk", "away, but its audio comes: the call goes on"], [3.0, "media", "not connected within 5 s"], [3.25, "media", "connected"], [3.5, "telegram", "signalling fails, the call goes on: Telegram does not answer"], [3.75, "telegram", "signalling works again"], [4.0, "keypad", "shown"], [4.25, "keypad", "not shown; a hint was sent"], [4.5, "keypad", "hidden"], [4.75, "keys", "a key was pressed"], [5.0, "keys", "4 keys were pressed"], [5.25, "keys", "a key was lost: Telegram does not answer"], [5.5, "keys", "4 keys were lost: Telegram does not answer"], [5.75, "call", "more steps than are kept: the log has them"], [6.0, "asterisk", "somebody dials +79990000003"], [6.25, "asterisk", "101 dials +79990000003"], [6.5, "telegram", "101 calls"], [6.75, "media", "signalling fails, the call goes on: engine busy"], [7.75, "telegram", "line +79990000001 may not call: +79990000003 is in the line''s deny list"], [30.0, "call", "ANSWER, cause 16: Astergram stops"]]','{"rings_s": 0.1, "pbx_answered_s": 4.1, "accepted_s": 4.2, "talks_s": 4.5}','{}');
INSERT INTO "call_details" VALUES('00000bef0002','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: audio lost: the media process ended (SIGSEGV)"]]','{"rings_s": 0.1, "pbx_answered_s": 4.1, "accepted_s": 4.2, "talks_s": 4.5}','{}');
INSERT INTO "call_details" VALUES('00000bef0003','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: Asterisk was away for 5 s"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0004','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: Telegram''s media did not connect within 5 s"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0005','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: accepted, but no audio path came up: redialled"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0006','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: no answer within 5 s"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0007','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: ended by the administrator"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0008','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the line''s session on Telegram has ended"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0009','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the line has 2 calls already"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000a','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: ended on Telegram (hangup, 5 s by Telegram''s count)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000b','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: ended on Telegram (hangup)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000c','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: not taken on Telegram (hangup)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000d','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: answered on another device"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000e','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: taken by another device of the line"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef000f','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the caller gave up (cause 19)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0010','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the caller gave up (not taken within 5 s)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0011','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the caller gave up (hangup)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0012','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: ended by the PBX (cause 19)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0013','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: +79990000002 is in the line''s deny list"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0014','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: +79990000002 is not in the line''s allow list"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0015','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: +79990000002 is no contact of the line''s, which has only_contacts"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0016','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: their app can''t talk to Astergram: it speaks 2.4.4, Astergram 8.0.0, 9.0.0"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0017','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: the program stopped during the call"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0018','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "ANSWER, cause 16: ended on Telegram (hangup, 7 s by Telegram''s count)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef0019','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "BUSY, cause 17: not taken on Telegram (busy)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef001a','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "BUSY, cause 17: not taken on Telegram (missed)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef001b','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "BUSY, cause 17: not taken on Telegram (disconnect)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef001c','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "BUSY, cause 17: not taken on Telegram (no reason)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef001d','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "BUSY, cause 17: not taken on Telegram (moved on to a group call)"]]','{}','{}');
INSERT INTO "call_details" VALUES('00000bef001e','[[0.0, "telegram", "+79990000002 calls"], [30.0, "call", "CANCEL, cause 16: the caller gave up (before it could be taken)"]]','{}','{}');
CREATE TABLE "calls" (
   "id" TEXT PRIMARY KEY,
   "direction" TEXT,
   "line" TEXT,
   "peer" TEXT,
   "near" TEXT,
   "name" TEXT,
   "phone" TEXT,
   "username" TEXT,
   "status" TEXT,
   "detail" TEXT,
   "search" TEXT,
   "began_at" REAL,
   "ended_at" REAL,
   "to_answer_s" REAL,
   "talked_s" REAL,
   "person_id" INTEGER,
   "cause" INTEGER,
   "answered" INTEGER,
   "refused" INTEGER
);
INSERT INTO "calls" VALUES('a52fc527caf8','out','+79990000009','+79990000011','101','Person 1','+79990000011','','LIMITED','Telegram refused phone.requestCall: PEER_FLOOD','person 1
+79990000011
5000000007
101',1.79565945988980317114e+09,1.7956594599643061161e+09,NULL,0.0,5000000007,42,0,0);
INSERT INTO "calls" VALUES('673d8a4b0455','out','+79990000001','+79990000011','101','Person 1','+79990000011','','ANSWER','ended by the PBX (cause 16)','person 1
+79990000011
5000000007
101',1.79565946049474525455e+09,1.79565946095104312894e+09,3.66578790017229039222e-02,2.59168610999040538445e-01,5000000007,16,1,0);
INSERT INTO "calls" VALUES('68e0fbc3d53a','out','+79990000001','+79990000014','104','Person 4','+79990000014','','ANSWER','audio lost: the media process 31506 of call 68e0fbc3d53a ended: by SIGSEGV','person 4
+79990000014
5000000010
104',1.79565946870064234736e+09,1.79565947027576494222e+09,4.36122479986806865781e-02,1.29196186499757459387e+00,5000000010,38,1,0);
INSERT INTO "calls" VALUES('0712703c1992','out','+79990000001','+79990009999','101','','','','NOTFOUND','Telegram refused contacts.resolvePhone: PHONE_NOT_OCCUPIED','+79990009999
101',1.79565946988525199892e+09,1.79565946990940356262e+09,NULL,0.0,NULL,1,0,0);
INSERT INTO "calls" VALUES('17aab7f6c5d6','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','CANCEL','the caller gave up (missed)','person 6
+79990000016
5000000012
79990000001',1.79565947108714270589e+09,1.79565947114931917191e+09,NULL,0.0,5000000012,16,0,0);
INSERT INTO "calls" VALUES('eb3054a94f98','out','+79990000001','+79990000012','102','Person 2','+79990000012','','NOANSWER','no answer within 2 s','person 2
+79990000012
5000000008
102',1.79565947225356316568e+09,1.79565947433250331873e+09,NULL,0.0,5000000008,19,0,0);
INSERT INTO "calls" VALUES('ed2bc26bdd5b','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended by the PBX (cause 16)','person 6
+79990000016
5000000012
79990000001',1.7956594758360512257e+09,1.79565947869331216804e+09,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('cdafd360d8ab','in','+79990000008','5000000009','79990000008','Person 3','+79990000013','','ERROR','ended by the PBX (cause 38)','person 3
+79990000013
5000000009
79990000008',1.79565947700918912893e+09,1.79565947704713773725e+09,NULL,0.0,5000000009,38,0,0);
INSERT INTO "calls" VALUES('124f7712cf09','in','+79990000001','5000000008','79990000001','Person 2','+79990000012','','NOANSWER','ended by the PBX (cause 19)','person 2
+79990000012
5000000008
79990000001',1.79565947819945764536e+09,1.79565948626038360594e+09,NULL,0.0,5000000008,19,0,0);
INSERT INTO "calls" VALUES('bdee4feb0ed0','out','','+79990000014,line=+79990000009','104','','','','LIMITED','line +79990000009 leaves out phone.requestCall for 86374 s more: Telegram said PEER_FLOOD','+79990000014,line=+79990000009
104',1.79565948635323929783e+09,1.79565948635332298275e+09,NULL,0.0,NULL,42,0,1);
INSERT INTO "calls" VALUES('1951a5eb411e','out','+79990000001','+79990000011','101','Person 1','+79990000011','','UNAVAILABLE','not taken on Telegram (disconnect)','person 1
+79990000011
5000000007
101',1.79565948635459899903e+09,1.79565948677453732489e+09,NULL,0.0,5000000007,20,0,0);
INSERT INTO "calls" VALUES('ba5aec691476','out','+79990000001','+79990000013','103','Person 3','+79990000013','','CANCEL','the caller gave up (cause 127)','person 3
+79990000013
5000000009
103',1.79565948635478973395e+09,1.79565948660906744005e+09,NULL,0.0,5000000009,127,0,0);
INSERT INTO "calls" VALUES('584ea4fe2aeb','out','+79990000001','+79990000016','106','Person 6','+79990000016','','ERROR','POST /channels/astergram-sandbox-1795659486.62/ring: Asterisk answered 503: Asterisk not booted','person 6
+79990000016
5000000012
106',1.79565948635493803026e+09,1.79565949196140503887e+09,NULL,0.0,5000000012,38,0,0);
INSERT INTO "calls" VALUES('b382dfc18eec','in','+79990000001','5000000010','79990000001','Person 4','+79990000014','','ANSWER','ended on Telegram (hangup)','person 4
+79990000014
5000000010
79990000001',1.79565948666262292865e+09,1.79565948955188965791e+09,8.7903442999959224835e-02,2.33153929800028,5000000010,16,1,0);
INSERT INTO "calls" VALUES('89bc5e459fbd','out','+79990000001','+79990000013','103','Person 3','+79990000013','','BUSY','not taken on Telegram (busy)','person 3
+79990000013
5000000009
103',1.79565948765962934497e+09,1.7956594877613914013e+09,NULL,0.0,5000000009,17,0,0);
INSERT INTO "calls" VALUES('91b3cb1df6f0','back','+79990000001','5000000009','agent','Person 3','+79990000013','','ANSWER','ended on Telegram (hangup)','person 3
+79990000013
5000000009
agent',1.79565948783480739594e+09,1.79565949049850177767e+09,1.63353759999154135584e-02,2.07863453999743796885e+00,5000000009,16,1,0);
INSERT INTO "calls" VALUES('748bcbc9594f','out','+79990000001','+79990000011','101','Person 1','+79990000011','','ANSWER','ended by the administrator','person 1
+79990000011
5000000007
101',1.79565948883375072486e+09,1.795659491018458128e+09,7.17581949975283350795e-02,1.79402186299921595491e+00,5000000007,16,1,0);
INSERT INTO "calls" VALUES('66a0feded008','in','+79990000001','5000000008','79990000001','Person 2','+79990000012','','BUSY','ended by the PBX (cause 17)','person 2
+79990000012
5000000008
79990000001',1.79565949005977940552e+09,1.79565949019463014604e+09,NULL,0.0,5000000008,17,0,0);
INSERT INTO "calls" VALUES('9a2723ea58c7','out','+79990000001','+79990000012','102','Person 2','+79990000012','','ERROR','POST /channels/astergram-sandbox-1795659508.40/ring: the connection to Asterisk broke (Cannot write to closing transport); whether it was carried out is unknown','person 2
+79990000012
5000000008
102',1.79565950947896504396e+09,1.7956595176183607578e+09,NULL,0.0,5000000008,38,0,0);
INSERT INTO "calls" VALUES('d439166911c4','out','','+79990000016,line=+79990000001','106','','','','UNAVAILABLE','line +79990000001 is connecting: Telegram does not answer; connecting again.','+79990000016,line=+79990000001
106',1.79565951251781320569e+09,1.7956595125179111958e+09,NULL,0.0,NULL,38,0,1);
INSERT INTO "calls" VALUES('64f0972d5fe4','in','+79990000008','5000000010','','Person 4','+79990000014','','ERROR','POST /channels: the connection to Asterisk broke (Server disconnected); whether it was carried out is unknown','person 4
+79990000014
5000000010',1.79565951770968794823e+09,1.79565951786800074574e+09,NULL,0.0,5000000010,38,0,0);
INSERT INTO "calls" VALUES('c6df7c7df504','in','+79990000001','5000000010','','Person 4','+79990000014','','ERROR','POST /channels: the connection to Asterisk broke ([Errno 104] Connection reset by peer); whether it was carried out is unknown','person 4
+79990000014
5000000010',1.79565951847331428531e+09,1.79565951857031273842e+09,NULL,0.0,5000000010,38,0,0);
INSERT INTO "calls" VALUES('152cddf29d14','in','+79990000001','5000000011','','Person 5','+79990000015','','ERROR','POST /channels: the connection to Asterisk broke ([Errno None] Can not write request body for http://127.0.0.1:42391/ari/channels?endpoint=Local/79990000001@soak/n&app=telegram&callerId=%22Person+5%22+%3C%2B79990000015%3E&timeout=-1&channelId=astergram-telegram-be933090765e49f7a03ce8908fd9959c&otherChannelId=astergram-telegram-be933090765e49f7a03ce8908fd9959c-far&formats=opus); whether it was carried out is unknown','person 5
+79990000015
5000000011',1.79565951966045284264e+09,1.79565951978228116039e+09,NULL,0.0,5000000011,38,0,0);
INSERT INTO "calls" VALUES('7d6421ad1227','out','+79990000001','+79990009999','105','','','','NOTFOUND','+79990009999 was not on Telegram when it was last asked, a short time ago','+79990009999
105',1.79565952199059915544e+09,1.79565952201143670076e+09,NULL,0.0,NULL,1,0,0);
INSERT INTO "calls" VALUES('46152fe3fd90','out','+79990000001','+79990000011','101','Person 1','+79990000011','','ANSWER','ended on Telegram (hangup)','person 1
+79990000011
5000000007
101',1.79565952555685162542e+09,1.79565953041986441614e+09,4.19874110011733137071e-02,4.43742180700064636766e+00,5000000007,16,1,0);
INSERT INTO "calls" VALUES('0ee24864c94a','out','+79990000001','+79990000007','101','Hermit','','','RESTRICTED','Telegram refused phone.requestCall: USER_PRIVACY_RESTRICTED','hermit
5000000006
+79990000007
101',1.79565953148738551145e+09,1.79565953186911344535e+09,NULL,0.0,5000000006,21,0,0);
INSERT INTO "calls" VALUES('f479ed38b3b1','out','+79990000001','+79990000013','103','Person 3','+79990000013','','ERROR','Telegram''s media did not connect within 5 s','person 3
+79990000013
5000000009
103',1.79565953264528512956e+09,1.79565954362855553631e+09,NULL,0.0,5000000009,38,0,0);
INSERT INTO "calls" VALUES('085f5dae06c3','in','+79990000001','5000000008','79990000001','Person 2','+79990000012','','ERROR','Telegram''s media did not connect within 5 s','person 2
+79990000012
5000000008
79990000001',1.7956595445435614586e+09,1.79565955139959907531e+09,NULL,0.0,5000000008,38,0,0);
INSERT INTO "calls" VALUES('5ef2c2fb96a0','in','+79990000001','5000000009','79990000001','Person 3','+79990000013','','ANSWER','audio lost: the media process 6090 of call 5ef2c2fb96a0 ended: by SIGSEGV','person 3
+79990000013
5000000009
79990000001',1.79565955355367493626e+09,1.79565955444614267343e+09,1.02064489001350011676e-01,2.36734171998250531032e-01,5000000009,38,1,0);
INSERT INTO "calls" VALUES('def4811b5291','out','+79990000001','+79990000015','105','Person 5','+79990000015','','ANSWER','POST /channels/astergram-sandbox-1795659564.147/answer: the connection to Asterisk broke (Server disconnected); whether it was carried out is unknown','person 5
+79990000015
5000000011
105',1.79565956467556023593e+09,1.79565956596629381185e+09,1.88526801997795701026e-01,1.9357740999839734286e-01,5000000011,38,1,0);
INSERT INTO "calls" VALUES('bc5952720417','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended on Telegram (hangup)','person 6
+79990000016
5000000012
79990000001',1.79565963558178281781e+09,1.79565965474240112303e+09,2.47095119997538859024e-01,1.72682348330017703124e+01,5000000012,16,1,0);
INSERT INTO "calls" VALUES('ea90a03698e3','in','+79990000001','5000000008','79990000001','Person 2','+79990000012','','ERROR','POST /bridges: the connection to Asterisk broke ([Errno 104] Connection reset by peer); whether it was carried out is unknown','person 2
+79990000012
5000000008
79990000001',1.79565963743201375008e+09,1.795659638901311636e+09,NULL,0.0,5000000008,38,0,0);
INSERT INTO "calls" VALUES('cb2910366a98','in','+79990000001','5000000008','79990000001','Person 2','+79990000012','','CANCEL','answered on another device','person 2
+79990000012
5000000008
79990000001',1.79565973365227317805e+09,1.79565974421629881863e+09,NULL,0.0,5000000008,26,0,0);
INSERT INTO "calls" VALUES('1d9f690d2334','in','+79990000001','5000000011','79990000001','Person 5','+79990000015','','ANSWER','ended by the PBX (cause 38)','person 5
+79990000015
5000000011
79990000001',1.79565977670216083521e+09,1.79565978292529797549e+09,9.60132609980064444243e-02,5.70524103299976559355e+00,5000000011,38,1,0);
INSERT INTO "calls" VALUES('9fe16f2a313a','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended on Telegram (hangup)','person 6
+79990000016
5000000012
79990000001',1.79565978496437335019e+09,1.79565979391980981823e+09,4.13910549978027120232e-02,8.09634639700016123242e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('8c8b98eafc05','out','+79990000001','+79990000012','102','Person 2','+79990000012','','BUSY','not taken on Telegram (hangup)','person 2
+79990000012
5000000008
102',1.79565990685880851746e+09,1.7956599171481256485e+09,NULL,0.0,5000000008,16,0,0);
INSERT INTO "calls" VALUES('00000bef0001','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','Astergram stops','person 6
+79990000016
5000000012
79990000001',1764000060.0,1764000090.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0002','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','audio lost: the media process ended (SIGSEGV)','person 6
+79990000016
5000000012
79990000001',1764000120.0,1764000150.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0003','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','Asterisk was away for 5 s','person 6
+79990000016
5000000012
79990000001',1764000180.0,1764000210.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0004','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','Telegram''s media did not connect within 5 s','person 6
+79990000016
5000000012
79990000001',1764000240.0,1764000270.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0005','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','accepted, but no audio path came up: redialled','person 6
+79990000016
5000000012
79990000001',1764000300.0,1764000330.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0006','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','no answer within 5 s','person 6
+79990000016
5000000012
79990000001',1764000360.0,1764000390.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0007','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended by the administrator','person 6
+79990000016
5000000012
79990000001',1764000420.0,1764000450.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0008','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the line''s session on Telegram has ended','person 6
+79990000016
5000000012
79990000001',1764000480.0,1764000510.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0009','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the line has 2 calls already','person 6
+79990000016
5000000012
79990000001',1764000540.0,1764000570.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000a','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended on Telegram (hangup, 5 s by Telegram''s count)','person 6
+79990000016
5000000012
79990000001',1764000600.0,1764000630.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000b','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended on Telegram (hangup)','person 6
+79990000016
5000000012
79990000001',1764000660.0,1764000690.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000c','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','not taken on Telegram (hangup)','person 6
+79990000016
5000000012
79990000001',1764000720.0,1764000750.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000d','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','answered on another device','person 6
+79990000016
5000000012
79990000001',1764000780.0,1764000810.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000e','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','taken by another device of the line','person 6
+79990000016
5000000012
79990000001',1764000840.0,1764000870.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef000f','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the caller gave up (cause 19)','person 6
+79990000016
5000000012
79990000001',1764000900.0,1764000930.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0010','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the caller gave up (not taken within 5 s)','person 6
+79990000016
5000000012
79990000001',1764000960.0,1764000990.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0011','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the caller gave up (hangup)','person 6
+79990000016
5000000012
79990000001',1764001020.0,1764001050.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0012','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended by the PBX (cause 19)','person 6
+79990000016
5000000012
79990000001',1764001080.0,1764001110.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0013','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','+79990000002 is in the line''s deny list','person 6
+79990000016
5000000012
79990000001',1764001140.0,1764001170.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0014','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','+79990000002 is not in the line''s allow list','person 6
+79990000016
5000000012
79990000001',1764001200.0,1764001230.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0015','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','+79990000002 is no contact of the line''s, which has only_contacts','person 6
+79990000016
5000000012
79990000001',1764001260.0,1764001290.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0016','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','their app can''t talk to Astergram: it speaks 2.4.4, Astergram 8.0.0, 9.0.0','person 6
+79990000016
5000000012
79990000001',1764001320.0,1764001350.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0017','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','the program stopped during the call','person 6
+79990000016
5000000012
79990000001',1764001380.0,1764001410.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0018','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','ANSWER','ended on Telegram (hangup, 7 s by Telegram''s count)','person 6
+79990000016
5000000012
79990000001',1764001440.0,1764001470.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
INSERT INTO "calls" VALUES('00000bef0019','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','BUSY','not taken on Telegram (busy)','person 6
+79990000016
5000000012
79990000001',1764001500.0,1764001530.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,17,1,0);
INSERT INTO "calls" VALUES('00000bef001a','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','BUSY','not taken on Telegram (missed)','person 6
+79990000016
5000000012
79990000001',1764001560.0,1764001590.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,17,1,0);
INSERT INTO "calls" VALUES('00000bef001b','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','BUSY','not taken on Telegram (disconnect)','person 6
+79990000016
5000000012
79990000001',1764001620.0,1764001650.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,17,1,0);
INSERT INTO "calls" VALUES('00000bef001c','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','BUSY','not taken on Telegram (no reason)','person 6
+79990000016
5000000012
79990000001',1764001680.0,1764001710.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,17,1,0);
INSERT INTO "calls" VALUES('00000bef001d','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','BUSY','not taken on Telegram (moved on to a group call)','person 6
+79990000016
5000000012
79990000001',1764001740.0,1764001770.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,17,1,0);
INSERT INTO "calls" VALUES('00000bef001e','in','+79990000001','5000000012','79990000001','Person 6','+79990000016','','CANCEL','the caller gave up (before it could be taken)','person 6
+79990000016
5000000012
79990000001',1764001800.0,1764001830.0,1.1534541100263595581e-01,2.44821302499985904432e+00,5000000012,16,1,0);
CREATE TABLE "card_files" (
   "line" TEXT,
   "kind" TEXT,
   "name" TEXT,
   "type" TEXT,
   "content" BLOB,
   "put_at" REAL,
   PRIMARY KEY ("line", "kind")
);
CREATE TABLE "cards" (
   "id" TEXT PRIMARY KEY,
   "line" TEXT,
   "person" TEXT,
   "text" TEXT,
   "button" TEXT,
   "secret" TEXT,
   "person_id" INTEGER,
   "sent_at" REAL
, "tells_in" TEXT NOT NULL DEFAULT '');
INSERT INTO "cards" VALUES('wxcKt4oYaOiH','+79990000001','{"id": 5000000009, "phone": "+79990000013", "username": "", "first_name": "Person 3", "last_name": "", "language": "", "contact": false, "usernames": []}','Hello, Person 3! Soak called you at 02:18 and missed you. Shall we call back?','📞 Call me back','',5000000009,1.79565948776185226442e+09,'');
INSERT INTO "cards" VALUES('hpWnysEEvWQY','+79990000001','{"id": 5000000008, "phone": "+79990000012", "username": "", "first_name": "Person 2", "last_name": "", "language": "", "contact": false, "usernames": []}','Hello, Person 2! Soak called you at 02:18 and missed you. Shall we call back?','📞 Call me back','',5000000008,1.7956594971873388291e+09,'');
INSERT INTO "cards" VALUES('Kcti5XEfNKGm','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:18, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565953116208410259e+09,'');
INSERT INTO "cards" VALUES('V4kXBMSnaWvj','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:19, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565954374192333223e+09,'');
INSERT INTO "cards" VALUES('nC1ZPwA193aP','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:19, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565959908179664612e+09,'');
INSERT INTO "cards" VALUES('tbGu35YgbWrm','+79990000001','{"id": 5000000007, "phone": "+79990000011", "username": "", "first_name": "Person 1", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 1! Вам звонили из «Soak» в 02:20, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000007,1.79565964761357545849e+09,'');
INSERT INTO "cards" VALUES('k7PCZCVIdfYN','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:21, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565969385026574138e+09,'');
INSERT INTO "cards" VALUES('6NC7IEdqZ6Ud','+79990000001','{"id": 5000000007, "phone": "+79990000011", "username": "", "first_name": "Person 1", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 1! Вам звонили из «Soak» в 02:21, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000007,1.79565969501898574835e+09,'');
INSERT INTO "cards" VALUES('vQLju1ncG_7P','+79990000001','{"id": 5000000008, "phone": "+79990000012", "username": "", "first_name": "Person 2", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 2! Вам звонили из «Soak» в 02:22, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000008,1.79565976136213302613e+09,'');
INSERT INTO "cards" VALUES('sz7zNxaeGptZ','+79990000001','{"id": 5000000012, "phone": "+79990000016", "username": "", "first_name": "Person 6", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 6! Вам звонили из «Soak» в 02:22, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000012,1.79565977559997844688e+09,'');
INSERT INTO "cards" VALUES('KJTYybpEY2IW','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:23, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565982287772917752e+09,'');
INSERT INTO "cards" VALUES('hprRbElZ9BR8','+79990000001','{"id": 5000000011, "phone": "+79990000015", "username": "", "first_name": "Person 5", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 5! Вам звонили из «Soak» в 02:23, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000011,1.79565983135652899741e+09,'');
INSERT INTO "cards" VALUES('4-8wj5oM1m17','+79990000001','{"id": 5000000011, "phone": "+79990000015", "username": "", "first_name": "Person 5", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 5! Вам звонили из «Soak» в 02:24, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000011,1.79565985327662968632e+09,'');
INSERT INTO "cards" VALUES('kdEvNrREvJLd','+79990000001','{"id": 5000000011, "phone": "+79990000015", "username": "", "first_name": "Person 5", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 5! Вам звонили из «Soak» в 02:24, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000011,1.79565986672975468636e+09,'');
INSERT INTO "cards" VALUES('_cj65Dxv2w2j','+79990000001','{"id": 5000000010, "phone": "+79990000014", "username": "", "first_name": "Person 4", "last_name": "", "language": "", "contact": false, "usernames": []}','Здравствуйте, Person 4! Вам звонили из «Soak» в 02:25, но не застали. Перезвонить?','📞 Перезвоните мне','',5000000010,1.79565990106945490832e+09,'');
CREATE TABLE "installation" (
   "name" TEXT PRIMARY KEY,
   "value" TEXT
);
CREATE TABLE "keypads" (
   "line" TEXT,
   "message_id" INTEGER,
   PRIMARY KEY ("line", "message_id")
);
CREATE TABLE "keypads_sending" (
   "line" TEXT,
   "random_id" INTEGER,
   "person_id" INTEGER,
   "call" TEXT,
   "sent_at" REAL,
   PRIMARY KEY ("line", "random_id")
);
CREATE TABLE "languages" (
   "person_id" INTEGER PRIMARY KEY,
   "language" TEXT
);
INSERT INTO "languages" VALUES(5000000007,'ru');
INSERT INTO "languages" VALUES(5000000008,'ru');
INSERT INTO "languages" VALUES(5000000009,'ru');
INSERT INTO "languages" VALUES(5000000010,'ru');
INSERT INTO "languages" VALUES(5000000011,'ru');
INSERT INTO "languages" VALUES(5000000012,'ru');
CREATE TABLE "lines" (
   "number" TEXT PRIMARY KEY,
   "settings" TEXT
);
INSERT INTO "lines" VALUES('+79990000001','{"number":"+79990000001","name":"Soak","api_hash":null,"context":"soak","max_calls":8,"card":{"no_answer":false,"declined":false,"busy":false,"cancelled":false,"card_every_s":0.0,"callback":"agent@soak"}}');
INSERT INTO "lines" VALUES('+79990000008','{"number":"+79990000008","api_hash":null,"context":"soak-failing","max_calls":8}');
INSERT INTO "lines" VALUES('+79990000009','{"number":"+79990000009","api_hash":null,"context":"soak","max_calls":8}');
CREATE TABLE "outgoing" (
   "line" TEXT,
   "at" REAL
);
CREATE TABLE "pauses" (
   "line" TEXT,
   "request" TEXT,
   "until" REAL,
   "reason" TEXT,
   PRIMARY KEY ("line", "request")
);
CREATE TABLE "resolved" (
   "line" TEXT,
   "destination" TEXT,
   "until" REAL,
   "answer" TEXT,
   PRIMARY KEY ("line", "destination")
);
CREATE TABLE "web_link" (
   "id" INTEGER PRIMARY KEY,
   "digest" TEXT,
   "made_at" REAL
);
CREATE TABLE "web_password" (
   "id" INTEGER PRIMARY KEY,
   "hash" TEXT
);
CREATE TABLE "web_sessions" (
   "digest" TEXT PRIMARY KEY,
   "started_at" REAL,
   "seen_at" REAL,
   "address" TEXT,
   "agent" TEXT
);
CREATE TABLE "web_tokens" (
   "id" INTEGER PRIMARY KEY,
   "digest" TEXT,
   "name" TEXT,
   "right" TEXT,
   "made_at" REAL,
   "used_at" REAL
);
CREATE INDEX "idx_outgoing_line_at"
    ON "outgoing" ("line", "at");
CREATE UNIQUE INDEX "idx_web_tokens_digest"
    ON "web_tokens" ("digest");
CREATE INDEX "calls_by_time"
    ON "calls" ("began_at", "id", "line", "direction", "status", "answered");
CREATE INDEX "calls_by_text"
    ON "calls" ("began_at", "id", "line", "direction", "status", "answered", "search");
COMMIT;
PRAGMA user_version = 10;
