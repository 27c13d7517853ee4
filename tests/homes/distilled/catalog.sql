BEGIN TRANSACTION;
CREATE TABLE comparisons (
	teacher VARCHAR(64) NOT NULL, 
	student VARCHAR(64) NOT NULL, 
	same BOOLEAN NOT NULL, 
	PRIMARY KEY (teacher, student)
);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	time FLOAT NOT NULL, 
	family VARCHAR, 
	student VARCHAR, 
	kind VARCHAR NOT NULL, 
	payload JSON NOT NULL
);
INSERT INTO "events" VALUES(1,1.79588482821479892732e+09,NULL,'da74235223622acc4e091ce02b85f254','student','{"state": "queued", "reason": null, "step": 0, "steps": 0}');
INSERT INTO "events" VALUES(2,1.7958848283012087345e+09,'38683ad47654','da74235223622acc4e091ce02b85f254','family','{"state": "created"}');
INSERT INTO "events" VALUES(3,1.79588482849837565422e+09,NULL,'da74235223622acc4e091ce02b85f254','student','{"state": "distilling", "reason": null, "step": 0, "steps": 0}');
INSERT INTO "events" VALUES(4,1.79588482862554621693e+09,'38683ad47654',NULL,'want','{"id": 1, "kind": "build", "what": "12.5K", "state": "no", "reason": null}');
INSERT INTO "events" VALUES(5,1.79588486359527301785e+09,NULL,'da74235223622acc4e091ce02b85f254','estimate','{"steps": 8, "tokens": 4096, "seconds": 1.3, "saving_seconds": 0.317, "devices": 1, "placement": "replicas", "memory_bytes": 3474240, "available_bytes": 19082866688}');
INSERT INTO "events" VALUES(6,1.79588486359887480742e+09,NULL,'da74235223622acc4e091ce02b85f254','progress','{"step": 0, "steps": 8}');
INSERT INTO "events" VALUES(7,1.79588486462460064892e+09,NULL,'da74235223622acc4e091ce02b85f254','progress','{"step": 7, "steps": 8, "loss": 3.91558, "ce": 3.90021, "kl": 0.00011, "cosine": 0.00768, "tokens": 3584, "tokens_per_s": 3495, "eta_s": 0.1}');
INSERT INTO "events" VALUES(8,1.79588486473616337777e+09,NULL,'da74235223622acc4e091ce02b85f254','progress','{"step": 8, "steps": 8, "loss": 3.90952, "ce": 3.9073, "kl": 2e-05, "cosine": 0.00111, "tokens": 4096, "tokens_per_s": 3613, "eta_s": 0.0}');
INSERT INTO "events" VALUES(9,1.79588486482174754148e+09,NULL,'da74235223622acc4e091ce02b85f254','checkpoint','{"step": 8, "seconds": 0.091}');
INSERT INTO "events" VALUES(10,1.79588487055678677553e+09,NULL,'da74235223622acc4e091ce02b85f254','student','{"state": "ready", "reason": null, "step": 8, "steps": 8}');
INSERT INTO "events" VALUES(11,1.7958848706051952839e+09,'38683ad47654',NULL,'measuring','{"state": "no", "reason": "its student is new"}');
INSERT INTO "events" VALUES(12,1.79588487079441785814e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": null}');
INSERT INTO "events" VALUES(13,1.79588489675152778628e+09,'38683ad47654',NULL,'order','{"order": "first", "patch_order": [0, 1, 2], "calibration_kl": {"last": [0.000272, 7.1e-05, 5.9e-05, 0.0], "first": [0.000272, 0.000172, 0.000116, 0.0], "klpatch": [0.000272, 7.1e-05, 2.4e-05, 0.0], "best": [0.000272, 0.000172, 0.000116, 0.0]}}');
INSERT INTO "events" VALUES(14,1.79588489675647044185e+09,'38683ad47654',NULL,'members','{"count": 4}');
INSERT INTO "events" VALUES(15,1.79588489676700735096e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": "measuring on held-out text"}');
INSERT INTO "events" VALUES(16,1.79588489683326578147e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": "measuring, so far 64 of 960 tokens"}');
INSERT INTO "events" VALUES(17,1.79588489683512711522e+09,'38683ad47654',NULL,'member','{"k": 0, "size": "10.5K", "fact": "measured", "state": "no", "reason": "so far 64 of 960 tokens", "perplexity": 48.198872, "kl": 0.00044, "naive_perplexity": 50.144611, "naive_kl": 0.000142, "generation": null, "flags": []}');
INSERT INTO "events" VALUES(18,1.79588489686731171603e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "measured", "state": "no", "reason": "so far 64 of 960 tokens", "perplexity": 48.655569, "kl": 0.000199, "naive_perplexity": 50.067557, "naive_kl": 7.5e-05, "generation": null, "flags": []}');
INSERT INTO "events" VALUES(19,1.79588489687745165822e+09,'38683ad47654',NULL,'member','{"k": 2, "size": "14.4K", "fact": "measured", "state": "no", "reason": "so far 64 of 960 tokens", "perplexity": 48.996739, "kl": 9.4e-05, "naive_perplexity": 50.098276, "naive_kl": 7.2e-05, "generation": null, "flags": []}');
INSERT INTO "events" VALUES(20,1.79588489689208531379e+09,'38683ad47654',NULL,'member','{"k": 3, "size": "16.4K", "fact": "measured", "state": "no", "reason": "so far 64 of 960 tokens", "perplexity": 50.018886, "kl": 0.0, "naive_perplexity": 50.018886, "naive_kl": 0.0, "generation": null, "flags": []}');
INSERT INTO "events" VALUES(21,1.79588489853793382639e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": "measuring, so far 128 of 960 tokens"}');
INSERT INTO "events" VALUES(22,1.79588489853986620903e+09,'38683ad47654',NULL,'member','{"k": 0, "size": "10.5K", "fact": "measured", "state": "no", "reason": "so far 128 of 960 tokens", "perplexity": 48.130351, "kl": 0.000351, "naive_perplexity": 50.095258, "naive_kl": 0.000108, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(23,1.79588489855297422405e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "measured", "state": "no", "reason": "so far 128 of 960 tokens", "perplexity": 48.473719, "kl": 0.000199, "naive_perplexity": 49.955152, "naive_kl": 6e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(24,1.79588489857320475579e+09,'38683ad47654',NULL,'member','{"k": 2, "size": "14.4K", "fact": "measured", "state": "no", "reason": "so far 128 of 960 tokens", "perplexity": 48.718929, "kl": 0.000117, "naive_perplexity": 49.951291, "naive_kl": 5.1e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(25,1.79588489858349013329e+09,'38683ad47654',NULL,'member','{"k": 3, "size": "16.4K", "fact": "measured", "state": "no", "reason": "so far 128 of 960 tokens", "perplexity": 49.885251, "kl": 0.0, "naive_perplexity": 49.885251, "naive_kl": 0.0, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(26,1.79588489862862372395e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": "measuring, so far 256 of 960 tokens"}');
INSERT INTO "events" VALUES(27,1.79588489863051772119e+09,'38683ad47654',NULL,'member','{"k": 0, "size": "10.5K", "fact": "measured", "state": "no", "reason": "so far 256 of 960 tokens", "perplexity": 48.235274, "kl": 0.0003, "naive_perplexity": 50.145356, "naive_kl": 9.9e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(28,1.79588489863801527022e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "measured", "state": "no", "reason": "so far 256 of 960 tokens", "perplexity": 48.629963, "kl": 0.000176, "naive_perplexity": 50.068208, "naive_kl": 7e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(29,1.7958848986444694996e+09,'38683ad47654',NULL,'member','{"k": 2, "size": "14.4K", "fact": "measured", "state": "no", "reason": "so far 256 of 960 tokens", "perplexity": 48.820576, "kl": 0.000116, "naive_perplexity": 50.05068, "naive_kl": 6e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(30,1.79588489864637660979e+09,'38683ad47654',NULL,'member','{"k": 3, "size": "16.4K", "fact": "measured", "state": "no", "reason": "so far 256 of 960 tokens", "perplexity": 49.976631, "kl": 0.0, "naive_perplexity": 49.976631, "naive_kl": 0.0, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(31,1.79588489867076706888e+09,'38683ad47654',NULL,'measuring','{"state": "running", "reason": "measuring, so far 512 of 960 tokens"}');
INSERT INTO "events" VALUES(32,1.79588489867361617092e+09,'38683ad47654',NULL,'member','{"k": 0, "size": "10.5K", "fact": "measured", "state": "no", "reason": "so far 512 of 960 tokens", "perplexity": 48.209863, "kl": 0.000278, "naive_perplexity": 50.120507, "naive_kl": 9e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(33,1.79588489867554545404e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "measured", "state": "no", "reason": "so far 512 of 960 tokens", "perplexity": 48.575709, "kl": 0.000176, "naive_perplexity": 50.028257, "naive_kl": 6.7e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(34,1.79588489868255472186e+09,'38683ad47654',NULL,'member','{"k": 2, "size": "14.4K", "fact": "measured", "state": "no", "reason": "so far 512 of 960 tokens", "perplexity": 48.743006, "kl": 0.000122, "naive_perplexity": 50.003077, "naive_kl": 5.5e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(35,1.79588489869272446633e+09,'38683ad47654',NULL,'member','{"k": 3, "size": "16.4K", "fact": "measured", "state": "no", "reason": "so far 512 of 960 tokens", "perplexity": 49.933856, "kl": 0.0, "naive_perplexity": 49.933856, "naive_kl": 0.0, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(36,1.79588489873931717866e+09,'38683ad47654',NULL,'member','{"k": 0, "size": "10.5K", "fact": "measured", "state": "yes", "reason": null, "perplexity": 48.25863, "kl": 0.000272, "naive_perplexity": 50.146513, "naive_kl": 9.9e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(37,1.79588489875930953018e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "measured", "state": "yes", "reason": null, "perplexity": 48.612243, "kl": 0.000172, "naive_perplexity": 50.058835, "naive_kl": 6.1e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(38,1.79588489877859425547e+09,'38683ad47654',NULL,'member','{"k": 2, "size": "14.4K", "fact": "measured", "state": "yes", "reason": null, "perplexity": 48.789103, "kl": 0.000116, "naive_perplexity": 50.035362, "naive_kl": 4.8e-05, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": []}');
INSERT INTO "events" VALUES(39,1.79588489879073309905e+09,'38683ad47654',NULL,'member','{"k": 3, "size": "16.4K", "fact": "measured", "state": "yes", "reason": null, "perplexity": 49.955907, "kl": 0.0, "naive_perplexity": 49.955907, "naive_kl": 0.0, "generation": {"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}, "flags": ["A dip: its perplexity is 49.96, that of the next smaller member (7 layers) 48.79."]}');
INSERT INTO "events" VALUES(40,1.79588490330184721941e+09,'38683ad47654',NULL,'measuring','{"state": "yes", "reason": null}');
INSERT INTO "events" VALUES(41,1.79588490333129501344e+09,'38683ad47654',NULL,'want','{"id": 1, "kind": "build", "what": "12.5K", "state": "running", "reason": null}');
INSERT INTO "events" VALUES(42,1.79588490345767879483e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "built", "state": "running", "reason": null}');
INSERT INTO "events" VALUES(43,1.79588492176181435582e+09,'38683ad47654',NULL,'member','{"k": 1, "size": "12.5K", "fact": "built", "state": "yes", "reason": null, "made_of": "85e3daec6f65d82ca0a0550050396dc532b14708"}');
INSERT INTO "events" VALUES(44,1.79588492179428434376e+09,'38683ad47654',NULL,'want','{"id": 1, "kind": "build", "what": "12.5K", "state": "yes", "reason": null}');
CREATE TABLE families (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR NOT NULL, 
	teacher VARCHAR NOT NULL, 
	revision VARCHAR, 
	"commit" VARCHAR NOT NULL, 
	source VARCHAR, 
	student VARCHAR(64) NOT NULL, 
	"order" VARCHAR NOT NULL, 
	request JSON NOT NULL, 
	license VARCHAR, 
	gated BOOLEAN NOT NULL, 
	private BOOLEAN NOT NULL, 
	published_repo VARCHAR, 
	patch_order JSON, 
	chosen VARCHAR, 
	measuring VARCHAR NOT NULL, 
	measuring_reason VARCHAR, 
	tasks JSON, 
	settled BOOLEAN NOT NULL, 
	cancel BOOLEAN, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	attempts BIGINT NOT NULL, 
	away_since FLOAT, 
	waited FLOAT, 
	due FLOAT, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(student) REFERENCES students ("key")
);
INSERT INTO "families" VALUES('38683ad47654','teacher','teacher',NULL,'5ff0a7d963fc369ce4e87e228859451b28e34b16','{models}/teacher','da74235223622acc4e091ce02b85f254','auto','{"teacher": "teacher", "revision": null, "budget": null, "sizes": null, "student": null, "kept": null, "order": "auto", "recipe": "smoke", "data": "texts", "base": null, "publish": null, "tasks": null, "task_limit": null}',NULL,0,0,NULL,'[0, 1, 2]','first','yes',NULL,NULL,1,NULL,1.79588482824218773842e+09,1.79588490330183315276e+09,0,NULL,NULL,NULL,0.0,0);
CREATE TABLE file_hashes (
	path VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	inode BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	PRIMARY KEY (path)
);
INSERT INTO "file_hashes" VALUES('{models}/teacher/model.safetensors',73040,2327635,1795884804025004870,'cde9f1603e24060532e099b37a431fa5fd83bbb2390c83cb9460d1500c23035f');
INSERT INTO "file_hashes" VALUES('{models}/teacher/generation_config.json',195,2327634,1795884803617046916,'1113738beda64787778c7058b7689d0b4fc2e402c0c5b552916168a0e551a393');
INSERT INTO "file_hashes" VALUES('{models}/teacher/tokenizer.json',2009,2327637,1795884804048610870,'9ac189860a4010cf531dc7959175ed4be9354b99e7571b6aed44b28adcca403d');
INSERT INTO "file_hashes" VALUES('{models}/teacher/config.json',712,2327633,1795884803613004856,'8cf7b7224aed6737a4f9db13b00ab13b65a183c61e6f648866537cfd894ea07b');
INSERT INTO "file_hashes" VALUES('{models}/teacher/tokenizer_config.json',196,2327636,1795884804048610870,'a32c88a67297bb9c99d8240afc75b2fe99869ae991cbcc1b0d1aacb91d32bb6b');
INSERT INTO "file_hashes" VALUES('{models}/texts/train.jsonl',4504,2769132,1795884804048993679,'404c058acd19cb77eb624becc74f7095ae8c853822f4aa63509e6d87b4afa518');
INSERT INTO "file_hashes" VALUES('{models}/texts/calibration.jsonl',4504,2769133,1795884804049112272,'404c058acd19cb77eb624becc74f7095ae8c853822f4aa63509e6d87b4afa518');
INSERT INTO "file_hashes" VALUES('{models}/texts/heldout.jsonl',4504,2769134,1795884804049214234,'404c058acd19cb77eb624becc74f7095ae8c853822f4aa63509e6d87b4afa518');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/tokenizer.json',2009,2770710,1795884864984424401,'9ac189860a4010cf531dc7959175ed4be9354b99e7571b6aed44b28adcca403d');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/boomerang.json',1342,2770718,1795884865217594244,'3c638a9077ae2f4ff6397893d7e9da04b4b4e75967624e6fa1151b0ed85ccae0');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/student_config.json',125,2770712,1795884864984821643,'7bff78e5b9589e5c6f6448f4625be671802b90068ba4933391cef994c0604c85');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/model.safetensors',46896,2770709,1795884864965007050,'026a1bdaa9173101bb47cc27a6313a96e36c04d5c8c26a78f308171e0a631c22');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/config.json',712,2770707,1795884864971447370,'eff0d0598be620286a26e650f82017070d8ac51fda73c7081d4e834b7ca70d52');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/tokenizer_config.json',196,2770711,1795884864984561621,'a32c88a67297bb9c99d8240afc75b2fe99869ae991cbcc1b0d1aacb91d32bb6b');
INSERT INTO "file_hashes" VALUES('{home}/students/da74235223622acc4e091ce02b85f254/generation_config.json',195,2770708,1795884864981007050,'1113738beda64787778c7058b7689d0b4fc2e402c0c5b552916168a0e551a393');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/model.safetensors',59184,2780417,1795884921692108539,'e6ba4f33f1340c53c76d6eadd04fa494460c88c2deb10a1b2b044f084937120e');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/boomerang.json',533,2780415,1795884921688169779,'882c83b4b06d79a7b419a0916b10a62429a64edbc623f340ce76fb24ea5fb564');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/tokenizer.json',2009,2780412,1795884921668523597,'9ac189860a4010cf531dc7959175ed4be9354b99e7571b6aed44b28adcca403d');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/tokenizer_config.json',196,2780413,1795884921669403520,'a32c88a67297bb9c99d8240afc75b2fe99869ae991cbcc1b0d1aacb91d32bb6b');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/README.md',3831,2780416,1795884921688946423,'b68f8985a36590c871e2f63c2b23bbb1256892e91ddaef793b14616eeb6de565');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/config.json',712,2780414,1795884921676142107,'87e48048349c4cf623984e762ae0ca6934527a9ecd30763b435109a360eef667');
INSERT INTO "file_hashes" VALUES('{home}/members/d041b38e55f9c59670c4a931f5668530d064a6a7/generation_config.json',195,2780411,1795884921659217161,'1113738beda64787778c7058b7689d0b4fc2e402c0c5b552916168a0e551a393');
CREATE TABLE leases (
	subject VARCHAR NOT NULL, 
	holder VARCHAR, 
	fence BIGINT NOT NULL, 
	expires FLOAT NOT NULL, 
	PRIMARY KEY (subject)
);
INSERT INTO "leases" VALUES('student:da74235223622acc4e091ce02b85f254',NULL,1,0.0);
INSERT INTO "leases" VALUES('family:38683ad47654',NULL,1,0.0);
INSERT INTO "leases" VALUES('settle:38683ad47654',NULL,2,0.0);
INSERT INTO "leases" VALUES('build:d041b38e55f9c59670c4a931f5668530d064a6a7',NULL,1,0.0);
CREATE TABLE members (
	family VARCHAR(16) NOT NULL, 
	k BIGINT NOT NULL, 
	size VARCHAR NOT NULL, 
	code VARCHAR NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	parameters BIGINT NOT NULL, 
	bytes BIGINT NOT NULL, 
	layers BIGINT NOT NULL, 
	built VARCHAR NOT NULL, 
	built_reason VARCHAR, 
	measured VARCHAR NOT NULL, 
	measured_reason VARCHAR, 
	published VARCHAR NOT NULL, 
	published_reason VARCHAR, 
	perplexity FLOAT, 
	kl FLOAT, 
	naive_perplexity FLOAT, 
	naive_kl FLOAT, 
	generation JSON, 
	flags JSON, 
	tasks JSON, 
	repo VARCHAR, 
	"commit" VARCHAR, 
	made_of VARCHAR, 
	updated FLOAT NOT NULL, 
	PRIMARY KEY (family, k), 
	FOREIGN KEY(family) REFERENCES families (id) ON DELETE CASCADE
);
INSERT INTO "members" VALUES('38683ad47654',0,'10.5K','sssss+sss','e4e2b298c631f4cb6a06e92301f7139659ad3cbf',10544,42176,5,'no',NULL,'yes',NULL,'no',NULL,48.25863,0.000272,50.146513,9.9e-05,'{"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}','[]',NULL,NULL,NULL,NULL,1.7958848987393057346e+09);
INSERT INTO "members" VALUES('38683ad47654',1,'12.5K','bssss+tss','d041b38e55f9c59670c4a931f5668530d064a6a7',12496,49984,6,'yes',NULL,'yes',NULL,'no',NULL,48.612243,0.000172,50.058835,6.1e-05,'{"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}','[]',NULL,NULL,NULL,'85e3daec6f65d82ca0a0550050396dc532b14708',1.79588492176180195805e+09);
INSERT INTO "members" VALUES('38683ad47654',2,'14.4K','bbsss+tss','a8297532dc7a37b890fb0f974bb2c91fe00050a6',14448,57792,7,'no',NULL,'yes',NULL,'no',NULL,48.789103,0.000116,50.035362,4.8e-05,'{"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}','[]',NULL,NULL,NULL,NULL,1.79588489877858471874e+09);
INSERT INTO "members" VALUES('38683ad47654',3,'16.4K','bbbbb+ttt','2be088dd26c1d61b40e1b033d77d32db5a915331',16400,65600,8,'no',NULL,'yes',NULL,'no',NULL,49.955907,0.0,49.955907,0.0,'{"repetition": 0.9655, "empty": 0.0, "agreement": 1.0}','["A dip: its perplexity is 49.96, that of the next smaller member (7 layers) 48.79."]',NULL,NULL,NULL,NULL,1.79588489879072403911e+09);
CREATE TABLE model_files (
	"commit" VARCHAR(64) NOT NULL, 
	files JSON NOT NULL, 
	PRIMARY KEY ("commit")
);
CREATE TABLE names (
	name VARCHAR NOT NULL, 
	family VARCHAR(16) NOT NULL, 
	teacher VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "names" VALUES('teacher','38683ad47654','teacher');
CREATE TABLE provisional (
	id VARCHAR(16) NOT NULL, 
	became VARCHAR(16), 
	name VARCHAR NOT NULL, 
	"plan" JSON NOT NULL, 
	requests JSON NOT NULL, 
	wants JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, 
	done BIGINT NOT NULL, 
	total BIGINT NOT NULL, 
	running BOOLEAN NOT NULL, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	attempts BIGINT NOT NULL, 
	away_since FLOAT, 
	waited FLOAT, 
	due FLOAT, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE repositories (
	repo VARCHAR NOT NULL, 
	family VARCHAR(16) NOT NULL, 
	private BOOLEAN NOT NULL, 
	card VARCHAR NOT NULL, 
	made_of VARCHAR, 
	PRIMARY KEY (repo)
);
CREATE TABLE requests (
	id INTEGER NOT NULL, 
	family VARCHAR(16) NOT NULL, 
	kind VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	options JSON NOT NULL, 
	options_digest VARCHAR(64) NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, 
	attempts BIGINT NOT NULL, 
	away_since FLOAT, 
	waited FLOAT, 
	due FLOAT, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(family) REFERENCES families (id) ON DELETE CASCADE
);
INSERT INTO "requests" VALUES(1,'38683ad47654','build','12.5K','{}','e10808d43975dc400731053386849f864f297e6c4f7519c380f3dbaf7067a840','yes',NULL,0,NULL,NULL,NULL,1.79588490571875786781e+09,1);
CREATE TABLE revisions (
	"commit" VARCHAR(40) NOT NULL, 
	family VARCHAR(16) NOT NULL, 
	repo VARCHAR NOT NULL, 
	card VARCHAR NOT NULL, 
	facts JSON NOT NULL, 
	PRIMARY KEY ("commit"), 
	FOREIGN KEY(family) REFERENCES families (id) ON DELETE CASCADE
);
INSERT INTO "revisions" VALUES('3374cc2622fc515abfe0427aa27ebe38bc2ac6ba','38683ad47654','boomerang/teacher-10.5K','---
library_name: transformers
pipeline_tag: text-generation
tags:
- boomerang
- boomerang-distillation
- distillation
- arxiv:2510.05064
model-index:
- name: teacher-10.5K
  results:
  - task:
      type: text-generation
      name: Text Generation
    dataset:
      type: texts
      name: texts
    metrics:
    - type: perplexity
      value: 48.25863
      name: Perplexity
    - type: kl_divergence
      value: 0.000272
      name: KL to the teacher, nats a token
---

# teacher-10.5K

The student of `teacher`: 5 of its 8 layers, distilled once by boomerang distillation. Every other size of the family is made from it and its teacher.

10,544 stored parameters, 5 layers, float32. Method: [Boomerang Distillation Enables Zero-Shot Model Size Interpolation](https://arxiv.org/abs/2510.05064).

## Which layers come from where

| here | from the | its layers |
| --- | --- | --- |
| 0–4 | student | 0–4 |
| embeddings | student |  |
| final norm | student |  |
| head | student |  |

Patched in the order `first`; the whole composition is `sssss+sss`. The student keeps the teacher''s layers 0, 2, 4, 6–7.

## The family

| size | parameters | layers | perplexity | KL to the teacher | naive pruning, perplexity | naive pruning, KL |
| --- | --- | --- | --- | --- | --- | --- |
| **10.5K** | 10,544 | 5 | 48.26 | 0.000272 | 50.15 | 9.9e-05 |
| 12.5K | 12,496 | 6 | 48.61 | 0.000172 | 50.06 | 6.1e-05 |
| 14.4K | 14,448 | 7 | 48.79 | 0.000116 | 50.04 | 4.8e-05 |
| 16.4K | 16,400 | 8 | 49.96 | 0 | 49.96 | 0 |

Measured on texts; KL is KL(teacher ‖ model) in nats a token. Naive pruning is the teacher''s own layers at the same depth, without distillation.

## How the student was made

| setting | value |
| --- | --- |
| name | smoke |
| steps | 8 |
| minutes | None |
| batch_tokens | 512 |
| sequence_length | 64 |
| micro_batch | 8 |
| learning_rate | 0.001 |
| betas | [0.9, 0.95] |
| weight_decay | 0.1 |
| warmup | 0.25 |
| clip | 1 |
| ce_weight | 1 |
| kl_weight | 0.1 |
| cosine_weight | 2 |
| freeze_embeddings | auto |
| patch_probability | 0.5 |
| patch_after | 0.25 |
| patch_sizes | uniform |
| patch_ends | 0.5 |
| first | 1 |
| every | 2 |
| last | 2 |
| kept | None |
| initialisation | teacher |
| seed | 0 |
| optimiser | adamw |
| separate_documents | False |
| phases | [] |
| loss_on | all |
| activation_checkpointing | False |

## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("boomerang/teacher-10.5K")
model = AutoModelForCausalLM.from_pretrained("boomerang/teacher-10.5K", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```

vLLM:

```bash
pip install vllm
vllm serve boomerang/teacher-10.5K
```

llama.cpp:

```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-cli -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download boomerang/teacher-10.5K --local-dir teacher-10.5K
python llama.cpp/convert_hf_to_gguf.py teacher-10.5K --outfile teacher-10.5K.gguf
llama.cpp/build/bin/llama-cli -m teacher-10.5K.gguf -n 20 -p "In the beginning"
```

Ollama, from the file made above:

```bash
echo ''FROM ./teacher-10.5K.gguf'' > Modelfile
ollama create teacher-10.5k -f Modelfile
ollama run teacher-10.5k "In the beginning"
```

## Licence and origin

The teacher is `teacher` at commit `5ff0a7d963fc369ce4e87e228859451b28e34b16`. Its limits and biases are those of its teacher, and smaller sizes know less.
','{"order": "first", "k": 0, "size": "10.5K"}');
INSERT INTO "revisions" VALUES('596a3ede3568b342aa6e3aaf76651bc9eb57fcc5','38683ad47654','boomerang/teacher-12.5K','---
library_name: transformers
pipeline_tag: text-generation
tags:
- boomerang
- boomerang-distillation
- distillation
- arxiv:2510.05064
model-index:
- name: teacher-12.5K
  results:
  - task:
      type: text-generation
      name: Text Generation
    dataset:
      type: texts
      name: texts
    metrics:
    - type: perplexity
      value: 48.612243
      name: Perplexity
    - type: kl_divergence
      value: 0.000172
      name: KL to the teacher, nats a token
---

# teacher-12.5K

A model between `teacher` and a student distilled from it, made by boomerang distillation: blocks of the teacher''s layers put back into the student. Nothing was trained to make this size.

12,496 stored parameters, 6 layers, float32. Method: [Boomerang Distillation Enables Zero-Shot Model Size Interpolation](https://arxiv.org/abs/2510.05064).

## Which layers come from where

| here | from the | its layers |
| --- | --- | --- |
| 0–1 | teacher | 0–1 |
| 2–5 | student | 1–4 |
| embeddings | teacher |  |
| final norm | student |  |
| head | student |  |

Patched in the order `first`; the whole composition is `bssss+tss`. The student keeps the teacher''s layers 0, 2, 4, 6–7.

## The family

| size | parameters | layers | perplexity | KL to the teacher | naive pruning, perplexity | naive pruning, KL |
| --- | --- | --- | --- | --- | --- | --- |
| 10.5K | 10,544 | 5 | 48.26 | 0.000272 | 50.15 | 9.9e-05 |
| **12.5K** | 12,496 | 6 | 48.61 | 0.000172 | 50.06 | 6.1e-05 |
| 14.4K | 14,448 | 7 | 48.79 | 0.000116 | 50.04 | 4.8e-05 |
| 16.4K | 16,400 | 8 | 49.96 | 0 | 49.96 | 0 |

Measured on texts; KL is KL(teacher ‖ model) in nats a token. Naive pruning is the teacher''s own layers at the same depth, without distillation.

## How the student was made

| setting | value |
| --- | --- |
| name | smoke |
| steps | 8 |
| minutes | None |
| batch_tokens | 512 |
| sequence_length | 64 |
| micro_batch | 8 |
| learning_rate | 0.001 |
| betas | [0.9, 0.95] |
| weight_decay | 0.1 |
| warmup | 0.25 |
| clip | 1 |
| ce_weight | 1 |
| kl_weight | 0.1 |
| cosine_weight | 2 |
| freeze_embeddings | auto |
| patch_probability | 0.5 |
| patch_after | 0.25 |
| patch_sizes | uniform |
| patch_ends | 0.5 |
| first | 1 |
| every | 2 |
| last | 2 |
| kept | None |
| initialisation | teacher |
| seed | 0 |
| optimiser | adamw |
| separate_documents | False |
| phases | [] |
| loss_on | all |
| activation_checkpointing | False |

## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("boomerang/teacher-12.5K")
model = AutoModelForCausalLM.from_pretrained("boomerang/teacher-12.5K", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```

vLLM:

```bash
pip install vllm
vllm serve boomerang/teacher-12.5K
```

llama.cpp:

```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-cli -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download boomerang/teacher-12.5K --local-dir teacher-12.5K
python llama.cpp/convert_hf_to_gguf.py teacher-12.5K --outfile teacher-12.5K.gguf
llama.cpp/build/bin/llama-cli -m teacher-12.5K.gguf -n 20 -p "In the beginning"
```

Ollama, from the file made above:

```bash
echo ''FROM ./teacher-12.5K.gguf'' > Modelfile
ollama create teacher-12.5k -f Modelfile
ollama run teacher-12.5k "In the beginning"
```

## Licence and origin

The teacher is `teacher` at commit `5ff0a7d963fc369ce4e87e228859451b28e34b16`. Its limits and biases are those of its teacher, and smaller sizes know less.
','{"order": "first", "k": 1, "size": "12.5K"}');
INSERT INTO "revisions" VALUES('faa75c7a26535c1368cbd0cbecc8de4664b97c43','38683ad47654','boomerang/teacher-14.4K','---
library_name: transformers
pipeline_tag: text-generation
tags:
- boomerang
- boomerang-distillation
- distillation
- arxiv:2510.05064
model-index:
- name: teacher-14.4K
  results:
  - task:
      type: text-generation
      name: Text Generation
    dataset:
      type: texts
      name: texts
    metrics:
    - type: perplexity
      value: 48.789103
      name: Perplexity
    - type: kl_divergence
      value: 0.000116
      name: KL to the teacher, nats a token
---

# teacher-14.4K

A model between `teacher` and a student distilled from it, made by boomerang distillation: blocks of the teacher''s layers put back into the student. Nothing was trained to make this size.

14,448 stored parameters, 7 layers, float32. Method: [Boomerang Distillation Enables Zero-Shot Model Size Interpolation](https://arxiv.org/abs/2510.05064).

## Which layers come from where

| here | from the | its layers |
| --- | --- | --- |
| 0–3 | teacher | 0–3 |
| 4–6 | student | 2–4 |
| embeddings | teacher |  |
| final norm | student |  |
| head | student |  |

Patched in the order `first`; the whole composition is `bbsss+tss`. The student keeps the teacher''s layers 0, 2, 4, 6–7.

## The family

| size | parameters | layers | perplexity | KL to the teacher | naive pruning, perplexity | naive pruning, KL |
| --- | --- | --- | --- | --- | --- | --- |
| 10.5K | 10,544 | 5 | 48.26 | 0.000272 | 50.15 | 9.9e-05 |
| 12.5K | 12,496 | 6 | 48.61 | 0.000172 | 50.06 | 6.1e-05 |
| **14.4K** | 14,448 | 7 | 48.79 | 0.000116 | 50.04 | 4.8e-05 |
| 16.4K | 16,400 | 8 | 49.96 | 0 | 49.96 | 0 |

Measured on texts; KL is KL(teacher ‖ model) in nats a token. Naive pruning is the teacher''s own layers at the same depth, without distillation.

## How the student was made

| setting | value |
| --- | --- |
| name | smoke |
| steps | 8 |
| minutes | None |
| batch_tokens | 512 |
| sequence_length | 64 |
| micro_batch | 8 |
| learning_rate | 0.001 |
| betas | [0.9, 0.95] |
| weight_decay | 0.1 |
| warmup | 0.25 |
| clip | 1 |
| ce_weight | 1 |
| kl_weight | 0.1 |
| cosine_weight | 2 |
| freeze_embeddings | auto |
| patch_probability | 0.5 |
| patch_after | 0.25 |
| patch_sizes | uniform |
| patch_ends | 0.5 |
| first | 1 |
| every | 2 |
| last | 2 |
| kept | None |
| initialisation | teacher |
| seed | 0 |
| optimiser | adamw |
| separate_documents | False |
| phases | [] |
| loss_on | all |
| activation_checkpointing | False |

## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("boomerang/teacher-14.4K")
model = AutoModelForCausalLM.from_pretrained("boomerang/teacher-14.4K", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```

vLLM:

```bash
pip install vllm
vllm serve boomerang/teacher-14.4K
```

llama.cpp:

```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-cli -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download boomerang/teacher-14.4K --local-dir teacher-14.4K
python llama.cpp/convert_hf_to_gguf.py teacher-14.4K --outfile teacher-14.4K.gguf
llama.cpp/build/bin/llama-cli -m teacher-14.4K.gguf -n 20 -p "In the beginning"
```

Ollama, from the file made above:

```bash
echo ''FROM ./teacher-14.4K.gguf'' > Modelfile
ollama create teacher-14.4k -f Modelfile
ollama run teacher-14.4k "In the beginning"
```

## Licence and origin

The teacher is `teacher` at commit `5ff0a7d963fc369ce4e87e228859451b28e34b16`. Its limits and biases are those of its teacher, and smaller sizes know less.
','{"order": "first", "k": 2, "size": "14.4K"}');
INSERT INTO "revisions" VALUES('90f14e686d80b3d6990098d17a1a537cbff0482f','38683ad47654','boomerang/teacher-16.4K','---
library_name: transformers
pipeline_tag: text-generation
tags:
- boomerang
- boomerang-distillation
- distillation
- arxiv:2510.05064
model-index:
- name: teacher-16.4K
  results:
  - task:
      type: text-generation
      name: Text Generation
    dataset:
      type: texts
      name: texts
    metrics:
    - type: perplexity
      value: 49.955907
      name: Perplexity
    - type: kl_divergence
      value: 0.0
      name: KL to the teacher, nats a token
---

# teacher-16.4K

A model between `teacher` and a student distilled from it, made by boomerang distillation: blocks of the teacher''s layers put back into the student. Nothing was trained to make this size.

16,400 stored parameters, 8 layers, float32. Method: [Boomerang Distillation Enables Zero-Shot Model Size Interpolation](https://arxiv.org/abs/2510.05064).

> **This size did not pass its checks.** A dip: its perplexity is 49.96, that of the next smaller member (7 layers) 48.79.

## Which layers come from where

| here | from the | its layers |
| --- | --- | --- |
| 0–7 | teacher | 0–7 |
| embeddings | teacher |  |
| final norm | teacher |  |
| head | teacher |  |

Patched in the order `first`; the whole composition is `bbbbb+ttt`. The student keeps the teacher''s layers 0, 2, 4, 6–7.

## The family

| size | parameters | layers | perplexity | KL to the teacher | naive pruning, perplexity | naive pruning, KL |
| --- | --- | --- | --- | --- | --- | --- |
| 10.5K | 10,544 | 5 | 48.26 | 0.000272 | 50.15 | 9.9e-05 |
| 12.5K | 12,496 | 6 | 48.61 | 0.000172 | 50.06 | 6.1e-05 |
| 14.4K | 14,448 | 7 | 48.79 | 0.000116 | 50.04 | 4.8e-05 |
| **16.4K** | 16,400 | 8 | 49.96 | 0 | 49.96 | 0 |

Measured on texts; KL is KL(teacher ‖ model) in nats a token. Naive pruning is the teacher''s own layers at the same depth, without distillation.

## How the student was made

| setting | value |
| --- | --- |
| name | smoke |
| steps | 8 |
| minutes | None |
| batch_tokens | 512 |
| sequence_length | 64 |
| micro_batch | 8 |
| learning_rate | 0.001 |
| betas | [0.9, 0.95] |
| weight_decay | 0.1 |
| warmup | 0.25 |
| clip | 1 |
| ce_weight | 1 |
| kl_weight | 0.1 |
| cosine_weight | 2 |
| freeze_embeddings | auto |
| patch_probability | 0.5 |
| patch_after | 0.25 |
| patch_sizes | uniform |
| patch_ends | 0.5 |
| first | 1 |
| every | 2 |
| last | 2 |
| kept | None |
| initialisation | teacher |
| seed | 0 |
| optimiser | adamw |
| separate_documents | False |
| phases | [] |
| loss_on | all |
| activation_checkpointing | False |

## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("boomerang/teacher-16.4K")
model = AutoModelForCausalLM.from_pretrained("boomerang/teacher-16.4K", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```

vLLM:

```bash
pip install vllm
vllm serve boomerang/teacher-16.4K
```

llama.cpp:

```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-cli -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download boomerang/teacher-16.4K --local-dir teacher-16.4K
python llama.cpp/convert_hf_to_gguf.py teacher-16.4K --outfile teacher-16.4K.gguf
llama.cpp/build/bin/llama-cli -m teacher-16.4K.gguf -n 20 -p "In the beginning"
```

Ollama, from the file made above:

```bash
echo ''FROM ./teacher-16.4K.gguf'' > Modelfile
ollama create teacher-16.4k -f Modelfile
ollama run teacher-16.4k "In the beginning"
```

## Licence and origin

The teacher is `teacher` at commit `5ff0a7d963fc369ce4e87e228859451b28e34b16`. Its limits and biases are those of its teacher, and smaller sizes know less.
','{"order": "first", "k": 3, "size": "16.4K"}');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(7);
CREATE TABLE stale (
	repo VARCHAR NOT NULL, 
	family VARCHAR(16) NOT NULL, 
	since FLOAT NOT NULL, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (repo)
);
CREATE TABLE students (
	"key" VARCHAR(64) NOT NULL, 
	root VARCHAR(64) NOT NULL, 
	teacher VARCHAR NOT NULL, 
	teacher_commit VARCHAR NOT NULL, 
	teacher_source VARCHAR, 
	kept JSON NOT NULL, 
	layers BIGINT NOT NULL, 
	recipe JSON NOT NULL, 
	recipe_name VARCHAR NOT NULL, 
	data VARCHAR, 
	data_digest VARCHAR, 
	seed BIGINT NOT NULL, 
	origin VARCHAR NOT NULL, 
	location VARCHAR, 
	revision_commit VARCHAR, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, 
	step BIGINT NOT NULL, 
	steps BIGINT NOT NULL, 
	loss FLOAT, 
	ce FLOAT, 
	kl FLOAT, 
	cosine FLOAT, 
	tokens BIGINT NOT NULL, 
	tokens_per_s FLOAT, 
	eta_s FLOAT, 
	generation BIGINT NOT NULL, 
	cancel BOOLEAN NOT NULL, 
	saved BIGINT, 
	micro_batch BIGINT, 
	killed_at BIGINT, 
	verify FLOAT, 
	files JSON, 
	created FLOAT NOT NULL, 
	started FLOAT, 
	finished FLOAT, 
	updated FLOAT NOT NULL, 
	attempts BIGINT NOT NULL, 
	away_since FLOAT, 
	waited FLOAT, 
	due FLOAT, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "students" VALUES('da74235223622acc4e091ce02b85f254','da74235223622acc4e091ce02b85f254','teacher','5ff0a7d963fc369ce4e87e228859451b28e34b16','{models}/teacher','[0, 2, 4, 6, 7]',8,'{"name": "smoke", "steps": 8, "minutes": null, "batch_tokens": 512, "sequence_length": 64, "micro_batch": 8, "learning_rate": 0.001, "betas": [0.9, 0.95], "weight_decay": 0.1, "warmup": 0.25, "clip": 1.0, "ce_weight": 1.0, "kl_weight": 0.1, "cosine_weight": 2.0, "freeze_embeddings": "auto", "patch_probability": 0.5, "patch_after": 0.25, "patch_sizes": "uniform", "patch_ends": 0.5, "first": 1, "every": 2, "last": 2, "kept": null, "initialisation": "teacher", "seed": 0, "optimiser": "adamw", "separate_documents": false, "phases": [], "loss_on": "all", "activation_checkpointing": false}','smoke','{models}/texts','acdc220647518a30b4d95413b4b83e7f',0,'distilled',NULL,NULL,'ready',NULL,8,8,3.90952,3.9073,2.0e-05,0.00111,4096,3613.0,NULL,1,0,NULL,NULL,NULL,NULL,'{"tokenizer.json": "9ac189860a4010cf531dc7959175ed4be9354b99e7571b6aed44b28adcca403d", "boomerang.json": "3c638a9077ae2f4ff6397893d7e9da04b4b4e75967624e6fa1151b0ed85ccae0", "student_config.json": "7bff78e5b9589e5c6f6448f4625be671802b90068ba4933391cef994c0604c85", "model.safetensors": "026a1bdaa9173101bb47cc27a6313a96e36c04d5c8c26a78f308171e0a631c22", "config.json": "eff0d0598be620286a26e650f82017070d8ac51fda73c7081d4e834b7ca70d52", "tokenizer_config.json": "a32c88a67297bb9c99d8240afc75b2fe99869ae991cbcc1b0d1aacb91d32bb6b", "generation_config.json": "1113738beda64787778c7058b7689d0b4fc2e402c0c5b552916168a0e551a393"}',1.79588482820317149159e+09,1.79588482849831271173e+09,1.79588487055676078799e+09,1.79588487055676078799e+09,0,NULL,NULL,NULL,1.79588482820317149159e+09,0);
CREATE TABLE sweeps (
	digest VARCHAR(64) NOT NULL, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE tries (
	subject VARCHAR NOT NULL, 
	attempts BIGINT NOT NULL, 
	away_since FLOAT, 
	waited FLOAT, 
	due FLOAT, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (subject)
);
CREATE INDEX ix_students_root ON students (root);
CREATE INDEX ix_students_state ON students (state);
CREATE INDEX ix_names_family ON names (family);
CREATE INDEX ix_repositories_family ON repositories (family);
CREATE INDEX ix_stale_family ON stale (family);
CREATE INDEX ix_provisional_state ON provisional (state);
CREATE INDEX ix_provisional_became ON provisional (became);
CREATE INDEX ix_events_student ON events (student);
CREATE INDEX ix_events_family ON events (family);
CREATE INDEX ix_families_teacher ON families (teacher);
CREATE INDEX ix_families_student ON families (student);
CREATE INDEX ix_families_measuring ON families (measuring);
CREATE INDEX ix_members_digest ON members (digest);
CREATE INDEX ix_members_size ON members (size);
CREATE INDEX ix_requests_family ON requests (family);
CREATE INDEX ix_requests_state ON requests (state);
CREATE UNIQUE INDEX one_request ON requests (family, kind, what, options_digest);
CREATE INDEX ix_revisions_family ON revisions (family);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',44);
COMMIT;
