SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.events (
    id bigint NOT NULL,
    "time" double precision NOT NULL,
    family character varying,
    student character varying,
    kind character varying NOT NULL,
    payload json NOT NULL
);
CREATE SEQUENCE public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.families (
    id character varying(16) NOT NULL,
    name character varying NOT NULL,
    teacher character varying NOT NULL,
    revision character varying,
    commit character varying NOT NULL,
    source character varying,
    student character varying(64) NOT NULL,
    "order" character varying NOT NULL,
    request json NOT NULL,
    license character varying,
    gated boolean NOT NULL,
    private boolean NOT NULL,
    published_repo character varying,
    patch_order json,
    chosen character varying,
    measuring character varying NOT NULL,
    measuring_reason character varying,
    tasks json,
    settled boolean NOT NULL,
    attempts bigint NOT NULL,
    sent double precision NOT NULL,
    sends bigint NOT NULL,
    created double precision NOT NULL,
    updated double precision NOT NULL
);
CREATE TABLE public.file_hashes (
    path character varying NOT NULL,
    size bigint NOT NULL,
    inode bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    sha256 character varying(64) NOT NULL
);
CREATE TABLE public.leases (
    subject character varying NOT NULL,
    holder character varying,
    fence bigint NOT NULL,
    expires double precision NOT NULL
);
CREATE TABLE public.members (
    family character varying(16) NOT NULL,
    k bigint NOT NULL,
    size character varying NOT NULL,
    code character varying NOT NULL,
    digest character varying(64) NOT NULL,
    parameters bigint NOT NULL,
    bytes bigint NOT NULL,
    layers bigint NOT NULL,
    built character varying NOT NULL,
    built_reason character varying,
    measured character varying NOT NULL,
    measured_reason character varying,
    published character varying NOT NULL,
    published_reason character varying,
    perplexity double precision,
    kl double precision,
    naive_perplexity double precision,
    naive_kl double precision,
    generation json,
    flags json,
    tasks json,
    repo character varying,
    commit character varying,
    updated double precision NOT NULL
);
CREATE TABLE public.requests (
    id bigint NOT NULL,
    family character varying(16) NOT NULL,
    kind character varying NOT NULL,
    what character varying NOT NULL,
    options json NOT NULL,
    options_digest character varying(64) NOT NULL,
    state character varying NOT NULL,
    reason character varying,
    attempts bigint NOT NULL,
    sent double precision NOT NULL,
    sends bigint NOT NULL
);
CREATE SEQUENCE public.requests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.requests_id_seq OWNED BY public.requests.id;
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE TABLE public.students (
    key character varying(64) NOT NULL,
    root character varying(64) NOT NULL,
    teacher character varying NOT NULL,
    teacher_commit character varying NOT NULL,
    teacher_source character varying,
    kept json NOT NULL,
    layers bigint NOT NULL,
    recipe json NOT NULL,
    recipe_name character varying NOT NULL,
    data character varying,
    data_digest character varying,
    seed bigint NOT NULL,
    origin character varying NOT NULL,
    location character varying,
    revision_commit character varying,
    state character varying NOT NULL,
    reason character varying,
    step bigint NOT NULL,
    steps bigint NOT NULL,
    loss double precision,
    ce double precision,
    kl double precision,
    cosine double precision,
    tokens bigint NOT NULL,
    tokens_per_s double precision,
    eta_s double precision,
    generation bigint NOT NULL,
    cancel boolean NOT NULL,
    attempts bigint NOT NULL,
    sent double precision NOT NULL,
    sends bigint NOT NULL,
    created double precision NOT NULL,
    started double precision,
    finished double precision,
    updated double precision NOT NULL
);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.requests ALTER COLUMN id SET DEFAULT nextval('public.requests_id_seq'::regclass);
INSERT INTO public.events VALUES (1, 1764000000.25, NULL, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'progress', '{"step": 0, "loss": 1.5}');
INSERT INTO public.events VALUES (2, 1764000001.25, NULL, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'progress', '{"step": 1, "loss": 0.75}');
INSERT INTO public.events VALUES (3, 1764000002.25, NULL, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'progress', '{"step": 2, "loss": 0.5}');
INSERT INTO public.events VALUES (4, 1764000000.25, 'ffffffffffffffff', NULL, 'family', '{"state": "ready"}');
INSERT INTO public.families VALUES ('ffffffffffffffff', 'Lehrer-4B', 'org/Lehrer-4B', 'main', 'cccccccccccccccccccccccccccccccccccccccc', NULL, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'auto', '{"budget": "2.9B"}', 'apache-2.0', false, true, NULL, '[1, "last"]', NULL, 'yes', NULL, '{"arc_easy": 10}', false, 0, 0, 0, 1764000000.25, 1764000000.25);
INSERT INTO public.families VALUES ('eeeeeeeeeeeeeeee', 'Lehrer-4B', 'org/Lehrer-4B', 'main', 'cccccccccccccccccccccccccccccccccccccccc', NULL, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'auto', '{"budget": "2.9B"}', 'apache-2.0', false, true, NULL, NULL, NULL, 'no', NULL, NULL, false, 0, 0, 0, 1764000000.25, 1764000000.25);
INSERT INTO public.file_hashes VALUES ('/models/größe.safetensors', 8589934592, 1099511627776, 1152921504606846976, '9999999999999999999999999999999999999999999999999999999999999999');
INSERT INTO public.leases VALUES ('student:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'w1', 7, 1764000030.25);
INSERT INTO public.members VALUES ('ffffffffffffffff', 0, '0.00K', 'sss+sss', 'd0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0', 3000000000, 12000000000, 3, 'yes', NULL, 'no', NULL, 'no', NULL, 12.25, NULL, NULL, NULL, '{"text": "na\u00efve \u2264 \u00bd \\ \"quoted\""}', NULL, NULL, NULL, NULL, 1764000000.25);
INSERT INTO public.members VALUES ('ffffffffffffffff', 1, '1.00K', 'sss+sss', 'd1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1', 3000000001, 12000000000, 4, 'yes', NULL, 'no', NULL, 'no', NULL, 12.25, NULL, NULL, NULL, '{"text": "na\u00efve \u2264 \u00bd \\ \"quoted\""}', '["A dip."]', NULL, NULL, NULL, 1764000000.25);
INSERT INTO public.requests VALUES (1, 'ffffffffffffffff', 'build', '0.00K', '{}', '0000000000000000000000000000000000000000000000000000000000000000', 'yes', NULL, 0, 0, 0);
INSERT INTO public.schema_version VALUES (3);
INSERT INTO public.students VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'org/Lehrer-4B', 'cccccccccccccccccccccccccccccccccccccccc', NULL, '[0, 2, 3]', 4, '{"name": "smoke", "steps": 10, "rate": 0.0001}', 'smoke', NULL, NULL, 0, 'distilled', NULL, NULL, 'ready', NULL, 5, 10, 1.5, NULL, NULL, NULL, 1099511627776, NULL, NULL, 1, false, 0, 0, 0, 1764000000.25, NULL, NULL, 1764000001.25);
INSERT INTO public.students VALUES ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'org/Lehrer-4B', 'cccccccccccccccccccccccccccccccccccccccc', NULL, '[0, 2, 3]', 4, '{"name": "smoke", "steps": 10, "rate": 0.0001}', 'smoke', NULL, NULL, 0, 'distilled', NULL, NULL, 'distilling', 'It''s a Grüße ''reason''
of two lines: 50 %', 5, 10, NULL, NULL, NULL, NULL, 1099511627776, NULL, NULL, 1, false, 0, 0, 0, 1764000000.25, NULL, NULL, 1764000001.25);
SELECT pg_catalog.setval('public.events_id_seq', 4, true);
SELECT pg_catalog.setval('public.requests_id_seq', 1, true);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.families
    ADD CONSTRAINT families_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.file_hashes
    ADD CONSTRAINT file_hashes_pkey PRIMARY KEY (path);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (subject);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (family, k);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.students
    ADD CONSTRAINT students_pkey PRIMARY KEY (key);
CREATE INDEX ix_events_family ON public.events USING btree (family);
CREATE INDEX ix_events_student ON public.events USING btree (student);
CREATE INDEX ix_families_measuring ON public.families USING btree (measuring);
CREATE INDEX ix_families_student ON public.families USING btree (student);
CREATE INDEX ix_families_teacher ON public.families USING btree (teacher);
CREATE INDEX ix_members_digest ON public.members USING btree (digest);
CREATE INDEX ix_members_size ON public.members USING btree (size);
CREATE INDEX ix_requests_family ON public.requests USING btree (family);
CREATE INDEX ix_requests_state ON public.requests USING btree (state);
CREATE INDEX ix_students_root ON public.students USING btree (root);
CREATE INDEX ix_students_state ON public.students USING btree (state);
CREATE UNIQUE INDEX one_request ON public.requests USING btree (family, kind, what, options_digest);
ALTER TABLE ONLY public.families
    ADD CONSTRAINT families_student_fkey FOREIGN KEY (student) REFERENCES public.students(key);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_family_fkey FOREIGN KEY (family) REFERENCES public.families(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_family_fkey FOREIGN KEY (family) REFERENCES public.families(id) ON DELETE CASCADE;
