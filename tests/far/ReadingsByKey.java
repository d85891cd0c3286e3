// Kafka Streams over the flat records of the gateway, as a newcomer would write it: counts the readings of each key, and looks
// whether they come in the order of their seq.
//
//   java -cp 'libs/*' ReadingsByKey.java BOOTSTRAP TOPIC COUNT FOLDER
//
// Once it has seen COUNT readings it prints a JSON line for each key: {"key": …, "readings": …, "in_order": …, "last": …}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class ReadingsByKey {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long PATIENCE_S = 100;

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "readings-by-key");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);

        Map<String, String> found = new ConcurrentSkipListMap<>();
        CountDownLatch missing = new CountDownLatch(Integer.parseInt(arguments[2]));
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(arguments[1])
            .groupByKey()
            .aggregate(() -> "{}", (key, reading, before) -> with(key, json(before), json(reading)), inMemory())
            .toStream()
            .foreach((key, of) -> {
                found.put(key, of);
                missing.countDown();
            });
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
            streams.start();
            if (!missing.await(PATIENCE_S, TimeUnit.SECONDS)) {
                throw new IllegalStateException(missing.getCount() + " readings have not come");
            }
        }
        System.out.write((String.join("\n", found.values()) + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private static String with(String key, JsonNode before, JsonNode reading) {
        ObjectNode now = JSON.createObjectNode();
        now.put("key", key);
        now.put("readings", before.path("readings").asLong() + 1);
        now.put("in_order", before.path("in_order").asBoolean(true)
            && before.path("last").path("seq").asLong() < reading.get("seq").asLong());
        now.set("last", reading);
        return now.toString();
    }

    private static JsonNode json(String text) {
        try {
            return JSON.readTree(text);
        } catch (com.fasterxml.jackson.core.JsonProcessingException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private static Materialized<String, String, KeyValueStore<Bytes, byte[]>> inMemory() {
        return Materialized.<String, String>as(Stores.inMemoryKeyValueStore("found")).withLoggingDisabled();
    }
}
