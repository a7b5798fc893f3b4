# Read by the entrypoint and by spark-class of Spark's image: when the class-data archive can be used.
#
# It is used only when the class path begins with the jars it was made of, so that folders of configuration come after them,
# which must not make a difference.

archive=/opt/spark/archive
# A JVM that cannot use it says nothing and goes on.
archive_options=("-XX:SharedArchiveFile=$archive/classes.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off)
shopt -s nullglob

# Whether it is there, and these folders of resources may come after the jars.
archive_fits() {
  local folder file names
  [ -r "$archive/classes.jsa" ] || return 1
  names=$'\n'$(<"$archive/resources")$'\n'
  for folder in "$@"; do
    for file in "$folder"/*; do
      # A folder may hold classes; a file may be in a jar as well, and then the first one counts.
      [ ! -d "$file" ] && [[ "$names" != *$'\n'"${file##*/}"$'\n'* ]] || return 1
    done
  done
}

# Turns the class path of Spark's launcher (configuration, Spark's jars, others) into one that begins with the archive's, in
# archive_class_path. Fails when something comes before the jars that must stay there.
archive_class_path() {
  local entries entry before=() after='' seen=''
  IFS=: read -ra entries <<<"$1"
  for entry in "${entries[@]}"; do
    if [ -n "$seen" ]; then
      after+=":$entry"
    elif [ "$entry" = "$SPARK_HOME/jars/*" ]; then
      seen=1
    elif [[ "$entry" == */\* ]]; then
      # Entries of jars that are not there.
      local jars=("${entry%\*}"*.jar)
      [ ${#jars[@]} = 0 ] || return 1
    elif [[ "$entry" != "$SPARK_HOME"/jars/*.jar ]]; then
      [[ "$entry" != *.jar ]] || return 1
      before+=("${entry%/}")
    fi
  done
  [ -n "$seen" ] && archive_fits "${before[@]}" || return 1
  archive_class_path=$(<"$archive/class-path")
  for entry in "${before[@]}"; do
    archive_class_path+=":$entry"
  done
  archive_class_path+=$after
}
