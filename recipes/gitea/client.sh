# Sourced by the hooks and checks: speaks with the forge as a member would, in HTTP and with git.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

MEMBER=ada
# The repository that has to outlive upgrade and restore.
KEPT=$MEMBER/minutes

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work

# A secret that lives as long as the deployment.
SECRET=secret_key
PASSWORD=$(password "$MEMBER")
BASIC="Authorization: Basic $(printf '%s:%s' "$MEMBER" "$PASSWORD" | base64 --wrap=0)"
AUTH="header = \"$BASIC\""

# ensure_member: makes the member, who is one of the administrators, unless it is there; the forge has no other way for
# the first.
ensure_member() {
  if api GET /api/v1/user > /dev/null 2>&1; then return; fi
  in-service app sh -c 'read -r password && gitea admin user create --admin --username "$0" --email "$0@example.org" \
    --password "$password" --must-change-password=false' "$MEMBER" <<< "$PASSWORD"
}

# The forge as git-lfs reaches it, which resolves names for itself and does not ask curl's settings.
forge=$APP_URL
if [ -n "${APP_ADDRESS-}" ]; then forge=http://$APP_ADDRESS:${APP_URL##*:}; fi

# has_lfs: whether the forge takes large files.
has_lfs() {
  [ "$(in-service app sh -c 'printf %s "${GITEA_LFS_START_SERVER-}"')" = true ]
}

# open_clone FOLDER REPOSITORY: makes a repository there in which git, and git-lfs, are logged in at the forge, with that
# one as its origin; goes there.
open_clone() {
  git init --quiet --initial-branch=main "$1"
  cd "$1"
  if has_lfs; then git lfs install --local > /dev/null; fi
  # no list of processes has the password
  cat >> .git/config << END
[user]
  name = Ada
  email = ada@example.org
[http]
  sslVerify = false
  extraHeader = $BASIC
[remote "origin"]
  url = $APP_URL/$2.git
  fetch = +refs/heads/*:refs/remotes/origin/*
[lfs]
  url = $forge/$2.git/info/lfs
  locksverify = false
END
}

# make_repository NAME: one of the member's.
make_repository() {
  jq --null-input --arg name "$1" '{ name: $name, default_branch: "main", private: true }' > "$work/repository.json"
  api POST /api/v1/user/repos "$(cat "$work/repository.json")" > /dev/null
}

# is_tip REPOSITORY BRANCH: fails unless the API says that the branch ends at the commit at which this clone is; within
# half a minute, since the forge takes note of a push beside it.
is_tip() {
  eventually 30 says_tip "$@" > /dev/null || fail "the API does not know the commit that was pushed to $2"
}
says_tip() {
  [ "$(api GET "/api/v1/repos/$1/branches/$2" | jq --raw-output .commit.id)" = "$(git rev-parse HEAD)" ]
}

# The same megabyte each time.
recording() {
  head --bytes=1M /dev/zero | openssl enc -aes-256-ctr -K "$(printf '%064d' 1)" -iv "$(printf '%032d' 1)"
}
