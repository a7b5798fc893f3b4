"""What drivers and executors commonly do, so that the classes they load are known: RDDs, data frames, SQL, files, Python
functions, and the Kubernetes client with its model. The results do not matter."""

import glob
import os
import subprocess
import tempfile
import zipfile
from operator import add

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

spark = SparkSession.builder.appName("classes").getOrCreate()
context = spark.sparkContext
jvm = context._jvm
folder = tempfile.mkdtemp()


def attempt(step):
    """These differ between versions; an archive without them is still worth it."""
    try:
        step()
    except Exception as error:
        print("skipped", step.__name__, str(error).splitlines()[:1])


def rdds():
    numbers = context.parallelize(range(1000), 2)
    numbers.map(lambda n: (n % 7, n)).reduceByKey(add).collect()


def frames():
    source = os.path.join(folder, "source.csv")
    with open(source, "w") as out:
        out.write("id,name,at,value\n")
        for n in range(2000):
            out.write(f"{n},n{n % 13},2013-01-{1 + n % 28:02d},{'' if n % 11 == 0 else n * 1.5}\n")
    rows = spark.read.csv(source, header=True, inferSchema=True)
    titles = spark.createDataFrame([(f"n{n}", f"Name {n}") for n in range(13)], "name string, title string")
    best = Window.partitionBy("month").orderBy(F.desc("count"))
    report = (
        rows.filter(F.col("value").isNotNull())
        .join(titles, "name", "left")
        .groupBy("name", "title", F.month("at").alias("month"))
        .agg(
            F.count("*").alias("count"),
            F.avg("value").alias("mean"),
            F.expr("percentile_approx(value, 0.95)").alias("p95"),
            F.sum(F.when(F.col("value") > 10, 1).otherwise(0)).alias("large"),
        )
        .withColumn("rank", F.row_number().over(best))
        .orderBy("name")
    )
    parquet = os.path.join(folder, "parquet")
    report.write.mode("overwrite").parquet(parquet)
    report.coalesce(1).write.mode("overwrite").option("header", True).csv(os.path.join(folder, "csv"))
    back = spark.read.parquet(parquet)
    back.createOrReplaceTempView("report")
    spark.sql("select name, sum(count) from report group by name having sum(count) > 3 order by 2 desc limit 3").show()
    back.select(F.udf(lambda n: n + 1, "long")("count")).count()


POD = """{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"b": "c"}, "ownerReferences": [{"name": "d"}]},
"spec": {"containers": [{"name": "e", "image": "f", "ports": [{"containerPort": 1}],
  "env": [{"name": "G", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
  "resources": {"limits": {"memory": "1Gi"}}, "volumeMounts": [{"name": "h", "mountPath": "/h"}]}],
  "volumes": [{"name": "h", "emptyDir": {}}, {"name": "i", "configMap": {"name": "j", "items": [{"key": "k", "path": "k"}]}}]},
"status": {"phase": "Running", "containerStatuses": [{"name": "e", "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}]}}"""


def model():
    serialization = jvm.io.fabric8.kubernetes.client.utils.Serialization
    for text in (
        POD,
        '{"apiVersion": "v1", "kind": "PodList", "items": [%s]}' % POD,
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"b": "c"}}',
        '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}',
        '{"apiVersion": "v1", "kind": "Status", "reason": "NotFound", "code": 404}',
    ):
        serialization.asJson(serialization.unmarshal(text))


def server():
    """An HTTPS server that knows nothing: its answers are 404."""
    store, word = os.path.join(folder, "keys"), "changeit"
    keytool = os.path.join(os.environ["JAVA_HOME"], "bin", "keytool")
    make = ["-genkeypair", "-alias", "a", "-keyalg", "EC", "-dname", "CN=localhost", "-storetype", "PKCS12"]
    subprocess.run([keytool, *make, "-keystore", store, "-storepass", word], check=True, capture_output=True)
    letters = context._gateway.new_array(jvm.char, len(word))
    for at, letter in enumerate(word):
        letters[at] = letter
    keys = jvm.java.security.KeyStore.getInstance(jvm.java.io.File(store), letters)
    factory = jvm.javax.net.ssl.KeyManagerFactory.getInstance("PKIX")
    factory.init(keys, letters)
    tls = jvm.javax.net.ssl.SSLContext.getInstance("TLS")
    tls.init(factory.getKeyManagers(), None, None)
    server = jvm.com.sun.net.httpserver.HttpsServer.create(jvm.java.net.InetSocketAddress("127.0.0.1", 0), 0)
    server.setHttpsConfigurator(jvm.com.sun.net.httpserver.HttpsConfigurator(tls))
    server.start()
    return server


def client():
    answering = server()
    package = jvm.io.fabric8.kubernetes.client
    address = "https://127.0.0.1:%d" % answering.getAddress().getPort()
    config = package.ConfigBuilder().withMasterUrl(address).withTrustCerts(True).withRequestTimeout(5000)
    config = config.withConnectionTimeout(5000).withRequestRetryBackoffLimit(0).build()
    client = package.KubernetesClientBuilder().withConfig(config).build()
    pods = client.pods().inNamespace("default")
    template = os.path.join(folder, "template.yaml")
    with open(template, "w") as out:
        out.write("apiVersion: v1\nkind: Pod\nspec:\n  containers: [{name: a, image: b}]\n")
    pod = pods.load(jvm.java.io.File(template)).item()
    command = context._gateway.new_array(jvm.java.lang.String, 1)
    command[0] = "true"
    for ask in (
        lambda: pods.withName("a").get(),
        lambda: pods.withLabel("a", "b").list(),
        lambda: pods.resource(pod).create(),
        lambda: pods.resource(pod).forceConflicts().serverSideApply(),
        lambda: pods.withLabel("a", "b").delete(),
        lambda: pods.withName("a").redirectingOutput().exec(command).exitCode().get(),
    ):
        try:
            ask()
        except Exception:
            pass  # it is what happens on the way that counts
    client.close()
    answering.stop(0)


def backend():
    loader = jvm.Thread.currentThread().getContextClassLoader()
    (jar,) = glob.glob(os.path.join(os.environ["SPARK_HOME"], "jars", "spark-kubernetes_*.jar"))
    for name in zipfile.ZipFile(jar).namelist():
        if name.startswith("org/apache/spark/") and name.endswith(".class"):
            try:
                jvm.java.lang.Class.forName(name[: -len(".class")].replace("/", "."), False, loader)
            except Exception:
                pass  # it needs a library that is optional


rdds()
frames()
for step in (model, client, backend):
    attempt(step)
spark.stop()
