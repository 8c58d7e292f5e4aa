# Sourced by the hooks and checks: makes accounts, and sends and reads mail, inside the containers: without TLS of its own
# Dovecot lets nobody log in from outside.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# account NAME [PASSWORD]: makes an account of that name unless there is one.
account() {
  if ! has_account "$1"; then
    # the password is a throw-away's, and the command takes it in no other way
    in-service admin flask mailu user "$1" "$APP_DOMAIN" "${2:-$(random 16)}"
  fi
  # whoever takes mail in may not have been told yet
  eventually 30 in-service imap doveadm user "$1@$APP_DOMAIN" > /dev/null || fail "Dovecot does not know $1"
}

# has_account NAME
has_account() {
  in-service admin flask mailu config-export --json |
    jq --exit-status --arg email "$1@$APP_DOMAIN" 'any(.user[]; .email == $email)' > /dev/null
}

# send FROM TO SUBJECT: a mail from one account to another, given to Postfix.
send() {
  in-service smtp sendmail -i -f "$1@$APP_DOMAIN" "$2@$APP_DOMAIN" << END
From: $1@$APP_DOMAIN
To: $2@$APP_DOMAIN
Subject: $3

Of $3.
END
}

# received NAME SUBJECT: whether that mail is in the account's inbox.
received() {
  [ -n "$(in-service imap doveadm search -u "$1@$APP_DOMAIN" mailbox INBOX subject "$2")" ]
}

KEPT=recipe-sweep-kept
KEPT_SUBJECT='the assembly of March'
