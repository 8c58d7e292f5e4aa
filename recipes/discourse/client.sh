# Sourced by the hooks and checks: speaks with the forum as other programs do.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# The topic that has to outlive upgrade and restore, at an ID of our own.
KEPT=recipe-sweep-kept
KEPT_TITLE='Minutes of the assembly in January'
KEPT_TEXT='Bread for **twelve** and Käse, two kilograms of it.'

# as_admin: from here on api asks as an administrator, with a key that the forum's own console makes: nobody else may make
# the first. CATEGORY is one of ours, since a new forum takes no topic without. The images differ in where Discourse is.
as_admin() {
  local printed key
  printed=$(
    in-service app bash -c '
      for folder in /opt/bitnami/discourse /var/www/discourse; do if [ -d "$folder" ]; then cd "$folder"; fi; done
      RAILS_ENV=production exec bundle exec rails runner -
    ' << 'END'
name = 'recipe_sweep'
user = User.find_by_username(name) || User.create!(
  username: name, email: 'recipe-sweep@example.org', password: SecureRandom.hex(16), active: true, approved: true
)
user.grant_admin!
ApiKey.where(description: name).destroy_all
category = Category.find_by(name: 'Recipe sweep') || Category.create!(name: 'Recipe sweep', user: user)
puts "category=#{category.id}"
puts "key=#{ApiKey.create!(description: name, created_by: Discourse.system_user).key}"
END
  ) || fail "the console makes no key: ${printed: -300}"
  key=$(sed -n 's/^key=\([0-9a-f]*\)$/\1/p' <<< "$printed")
  [ -n "$key" ] || fail 'the console makes no key'
  CATEGORY=$(sed -n 's/^category=\([0-9]*\)$/\1/p' <<< "$printed")
  [ -n "$CATEGORY" ] || fail 'the console makes no category'
  AUTH=$(printf 'header = "Api-Key: %s"\nheader = "Api-Username: recipe_sweep"' "$key")
}

# post JSON: prints what the forum says of what was posted.
post() {
  api POST /posts.json "$1"
}

# begin TITLE TEXT [EXTERNAL]: a topic in our category, at that ID of ours; prints its own.
begin() {
  post "$(
    jq --null-input --arg title "$1" --arg text "$2" --arg external "${3-}" --argjson category "$CATEGORY" \
      '{ title: $title, raw: $text, category: $category } + if $external == "" then {} else { external_id: $external } end'
  )" | pick .topic_id
}

# path_of EXTERNAL: where the topic of that ID of ours is; empty where there is none.
path_of() {
  local to
  to=$(patiently leads_to "$1") || return 0
  case $to in *://*/*) printf '/%s' "${to#*://*/}" ;; esac
}

leads_to() {
  request --output /dev/null --write-out '%{redirect_url}' "$APP_URL/t/external_id/$1.json"
}
