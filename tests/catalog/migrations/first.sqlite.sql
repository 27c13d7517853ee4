BEGIN TRANSACTION;
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	time FLOAT NOT NULL, 
	family VARCHAR, 
	student VARCHAR, 
	kind VARCHAR NOT NULL, 
	payload JSON NOT NULL
);
INSERT INTO "events" VALUES(1,1764000000.25,NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','progress','{"step": 0, "loss": 1.5}');
INSERT INTO "events" VALUES(2,1764000001.25,NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','progress','{"step": 1, "loss": 0.75}');
INSERT INTO "events" VALUES(3,1764000002.25,NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','progress','{"step": 2, "loss": 0.5}');
INSERT INTO "events" VALUES(4,1764000000.25,'ffffffffffffffff',NULL,'family','{"state": "ready"}');
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
	attempts BIGINT NOT NULL, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(student) REFERENCES students ("key")
);
INSERT INTO "families" VALUES('ffffffffffffffff','Lehrer-4B','org/Lehrer-4B','main','cccccccccccccccccccccccccccccccccccccccc',NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','auto','{"budget": "2.9B"}','apache-2.0',0,1,NULL,'[1, "last"]',NULL,'yes',NULL,'{"arc_easy": 10}',0,0,0.0,0,1764000000.25,1764000000.25);
INSERT INTO "families" VALUES('eeeeeeeeeeeeeeee','Lehrer-4B','org/Lehrer-4B','main','cccccccccccccccccccccccccccccccccccccccc',NULL,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','auto','{"budget": "2.9B"}','apache-2.0',0,1,NULL,NULL,NULL,'no',NULL,NULL,0,0,0.0,0,1764000000.25,1764000000.25);
CREATE TABLE file_hashes (
	path VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	inode BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	PRIMARY KEY (path)
);
INSERT INTO "file_hashes" VALUES('/models/größe.safetensors',8589934592,1099511627776,1152921504606846976,'9999999999999999999999999999999999999999999999999999999999999999');
CREATE TABLE leases (
	subject VARCHAR NOT NULL, 
	holder VARCHAR, 
	fence BIGINT NOT NULL, 
	expires FLOAT NOT NULL, 
	PRIMARY KEY (subject)
);
INSERT INTO "leases" VALUES('student:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','w1',7,1764000030.25);
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
	updated FLOAT NOT NULL, 
	PRIMARY KEY (family, k), 
	FOREIGN KEY(family) REFERENCES families (id) ON DELETE CASCADE
);
INSERT INTO "members" VALUES('ffffffffffffffff',0,'0.00K','sss+sss','d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0',3000000000,12000000000,3,'yes',NULL,'no',NULL,'no',NULL,12.25,NULL,NULL,NULL,'{"text": "na\u00efve \u2264 \u00bd \\ \"quoted\""}',NULL,NULL,NULL,NULL,1764000000.25);
INSERT INTO "members" VALUES('ffffffffffffffff',1,'1.00K','sss+sss','d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1',3000000001,12000000000,4,'yes',NULL,'no',NULL,'no',NULL,12.25,NULL,NULL,NULL,'{"text": "na\u00efve \u2264 \u00bd \\ \"quoted\""}','["A dip."]',NULL,NULL,NULL,1764000000.25);
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
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(family) REFERENCES families (id) ON DELETE CASCADE
);
INSERT INTO "requests" VALUES(1,'ffffffffffffffff','build','0.00K','{}','0000000000000000000000000000000000000000000000000000000000000000','yes',NULL,0,0.0,0);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(3);
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
	attempts BIGINT NOT NULL, 
	sent FLOAT NOT NULL, 
	sends BIGINT NOT NULL, 
	created FLOAT NOT NULL, 
	started FLOAT, 
	finished FLOAT, 
	updated FLOAT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "students" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','org/Lehrer-4B','cccccccccccccccccccccccccccccccccccccccc',NULL,'[0, 2, 3]',4,'{"name": "smoke", "steps": 10, "rate": 0.0001}','smoke',NULL,NULL,0,'distilled',NULL,NULL,'ready',NULL,5,10,1.5,NULL,NULL,NULL,1099511627776,NULL,NULL,1,0,0,0.0,0,1764000000.25,NULL,NULL,1764000001.25);
INSERT INTO "students" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','org/Lehrer-4B','cccccccccccccccccccccccccccccccccccccccc',NULL,'[0, 2, 3]',4,'{"name": "smoke", "steps": 10, "rate": 0.0001}','smoke',NULL,NULL,0,'distilled',NULL,NULL,'distilling','It''s a Grüße ''reason''
of two lines: 50 %',5,10,NULL,NULL,NULL,NULL,1099511627776,NULL,NULL,1,0,0,0.0,0,1764000000.25,NULL,NULL,1764000001.25);
CREATE INDEX ix_students_state ON students (state);
CREATE INDEX ix_students_root ON students (root);
CREATE INDEX ix_events_family ON events (family);
CREATE INDEX ix_events_student ON events (student);
CREATE INDEX ix_families_measuring ON families (measuring);
CREATE INDEX ix_families_student ON families (student);
CREATE INDEX ix_families_teacher ON families (teacher);
CREATE INDEX ix_members_size ON members (size);
CREATE INDEX ix_members_digest ON members (digest);
CREATE INDEX ix_requests_family ON requests (family);
CREATE UNIQUE INDEX one_request ON requests (family, kind, what, options_digest);
CREATE INDEX ix_requests_state ON requests (state);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',4);
COMMIT;
