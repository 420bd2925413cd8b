-- Who signs in beside the holders of tokens: people with an account here, and people of an identity
-- provider. Sessions of all three, by one table. The audit becomes append-only.

create table account (
    account_id uuid primary key default gen_random_uuid(),
    name text not null unique,            -- stands in the audit; of a provider's person `name@provider`
    issuer text,                          -- of a provider's person: who vouches, and for whom
    subject text,
    password_hash text,                   -- of a local account: Argon2id in its own notation
    password_at timestamptz,
    role text not null check (role in ('operator', 'engineer', 'regulator', 'admin')),
    scope text[] not null,                -- as of a token; of a provider's person as last signed in
    created_at timestamptz not null,
    seen_at timestamptz,                  -- last sign-in
    disabled_at timestamptz,
    unique (issuer, subject),
    check ((issuer is null) = (subject is null)),
    check ((issuer is null) = (password_hash is not null)),
    check ((password_hash is null) = (password_at is null))
);

drop table session;                       -- people sign in again: cookies have another form now
create table session (
    session_id uuid not null unique default gen_random_uuid(),  -- what lists show of it
    sha256 bytea primary key,             -- of the half of the cookie that stays
    secret_sha256 bytea not null,         -- of the half that is renewed
    previous_sha256 bytea,                -- good until the new one was seen, and a moment longer
    renewed_at timestamptz not null,
    settled_at timestamptz,               -- when the newest secret was seen first
    token_id uuid references access_token on delete cascade,
    account_id uuid references account on delete cascade,
    created_at timestamptz not null,
    seen_at timestamptz not null,
    expires_at timestamptz not null,      -- whatever is done meanwhile
    address text not null,
    browser text not null,
    check (num_nonnulls(token_id, account_id) = 1)
);
create index session_token on session (token_id);
create index session_account on session (account_id);

create trigger append_only before update or delete or truncate on audit
    for each statement execute function refuse_rewriting();
