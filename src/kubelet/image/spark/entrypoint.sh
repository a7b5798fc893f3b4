#!/bin/bash
# The entry of Spark's image: `driver` and `executor` as Spark's Kubernetes back end calls them, anything else as it is.
#
# When there is a class-data archive, both start `java` directly with it; where it does not fit, or where the arguments ask for
# something that only Spark's launcher knows, everything goes its usual way.

. /opt/spark-archive.sh

# A user without a name makes Hadoop's login fail.
if [ -w /etc/passwd ] && ! getent passwd "$(id -u)" >/dev/null; then
  echo "anonymous:x:$(id -u):$(id -g):anonymous:${HOME:-/}:/bin/false" >>/etc/passwd
fi

# Reads what of a properties file is for the JVM, into memory and java_options. Fails when only the launcher will do.
read_properties() {
  local line key value
  [ -r "$1" ] || return 1
  while IFS= read -r line || [ -n "$line" ]; do
    [[ "$line" =~ ^[[:space:]]*([^#![:space:]=:][^[:space:]=:]*)[[:space:]]*[=:[:space:]]?[[:space:]]*(.*)$ ]] || continue
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ "$line" != *\\ ]] || return 1
    use_property "$key" "$value" || return 1
  done <"$1"
}

use_property() {
  local key=$1 value
  # Spark writes `\=` for `=` and the like; other escapes do not occur in what is used here.
  value=${2//\\=/=} value=${value//\\:/:} value=${value//\\ / } value=${value//\\#/#} value=${value//\\!/!}
  case "$key" in
  spark.driver.memory)
    [[ "$value" =~ ^[0-9]+[kKmMgGtT]?[bB]?$ ]] || return 1
    memory=${value%[bB]}
    [[ "$memory" != *[0-9] ]] || memory+=m
    ;;
  spark.driver.defaultJavaOptions | spark.driver.extraJavaOptions)
    # Quotes, and a heap size (which is refused), are for the launcher to read.
    [[ "$value" != *[\"\'\\]* && "$value" != *-Xmx* ]] || return 1
    local words
    read -ra words <<<"$value"
    if [ "$key" = spark.driver.defaultJavaOptions ]; then default_options=("${words[@]}"); else extra_options=("${words[@]}"); fi
    ;;
  spark.driver.extraClassPath | spark.driver.extraLibraryPath | spark.remote | spark.connect.* | spark.api.mode | spark.local.connect)
    [ -z "$value" ] || return 1
    ;;
  *\\*)
    return 1
    ;;
  esac
}

# Starts the driver without the launcher, if that comes to the same.
direct_driver() {
  local memory=1g default_options=() extra_options=() properties='' at class_path options
  archive_fits "${SPARK_CONF_DIR:-$SPARK_HOME/conf}" ${HADOOP_CONF_DIR:+"$HADOOP_CONF_DIR"} || return 1
  [ -z "$SPARK_SUBMIT_OPTS$SPARK_DRIVER_MEMORY$SPARK_MEM$SPARK_PREPEND_CLASSES$SPARK_TESTING$YARN_CONF_DIR" ] || return 1
  [ -z "$SPARK_REMOTE$SPARK_CONNECT_MODE$SPARK_NO_DAEMONIZE" ] || return 1
  for at in spark-env.sh java-opts; do
    [ ! -e "${SPARK_CONF_DIR:-$SPARK_HOME/conf}/$at" ] || return 1
  done
  local arguments=("$@") n=0
  while [ $n -lt ${#arguments[@]} ]; do
    case "${arguments[n]}" in
    --properties-file)
      [ -z "$properties" ] || return 1
      properties=${arguments[n + 1]}
      ;;
    --conf)
      # On the command line it wins over the file, so that it may only be what the launcher does not read.
      case "${arguments[n + 1]}" in
      spark.driver.memory=* | spark.driver.*JavaOptions=* | spark.driver.extra*=* | spark.remote=* | spark.connect.* | spark.api.mode=* | spark.local.connect=*)
        return 1
        ;;
      esac
      ;;
    --class | --proxy-user | --name | --master | --deploy-mode | --jars | --files | --archives | --py-files) ;;
    -* | pyspark-shell* | sparkr-shell*) return 1 ;;
    *) break ;;
    esac
    n=$((n + 2))
  done
  [ $n -lt ${#arguments[@]} ] && [ -n "$properties" ] && read_properties "$properties" || return 1
  mapfile -t options <"$archive/java-options"
  class_path="$(<"$archive/class-path"):${SPARK_CONF_DIR:-$SPARK_HOME/conf}"
  class_path="$class_path${HADOOP_CONF_DIR:+:$HADOOP_CONF_DIR}${SPARK_DIST_CLASSPATH:+:$SPARK_DIST_CLASSPATH}"
  export SPARK_CONF_DIR="${SPARK_CONF_DIR:-$SPARK_HOME/conf}" SPARK_ENV_LOADED=1 PYTHONHASHSEED=0
  exec "$JAVA_HOME/bin/java" "${archive_options[@]}" -cp "$class_path" \
    "-Xmx$memory" "${default_options[@]}" "${extra_options[@]}" "${options[@]}" org.apache.spark.deploy.SparkSubmit "$@"
}

driver() {
  set -- --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
    --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
  direct_driver "$@"
  exec "$SPARK_HOME/bin/spark-submit" "$@"
}

executor() {
  local options=() name class_path jars="$SPARK_HOME/jars/*"
  local conf="${SPARK_CONF_DIR:-$SPARK_HOME/conf}"
  for ((n = 0; ; n++)); do
    name="SPARK_JAVA_OPT_$n"
    [ -n "${!name+set}" ] || break
    options+=("${!name}")
  done
  local after="${SPARK_EXTRA_CLASSPATH:+:$SPARK_EXTRA_CLASSPATH}:$PWD${SPARK_DIST_CLASSPATH:+:$SPARK_DIST_CLASSPATH}"
  if [ -z "$SPARK_CLASSPATH" ] && archive_fits "$conf" ${HADOOP_CONF_DIR:+"$HADOOP_CONF_DIR"}; then
    class_path="$(<"$archive/class-path"):$conf${HADOOP_CONF_DIR:+:$HADOOP_CONF_DIR}$after"
    options=("${archive_options[@]}" "${options[@]}")
  else
    class_path="$conf${HADOOP_CONF_DIR:+:$HADOOP_CONF_DIR}${SPARK_CLASSPATH:+:$SPARK_CLASSPATH}:$jars$after"
  fi
  exec "$JAVA_HOME/bin/java" "${options[@]}" \
    "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$class_path" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
}

case "$1" in
driver | executor)
  role=$1
  shift
  "$role" "$@"
  ;;
*)
  exec "$@"
  ;;
esac
