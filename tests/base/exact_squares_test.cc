#include "model/base/exact_squares.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/base/random.h"

namespace rehearse {
namespace {

double sum_of(DataType type, const std::vector<double>& numbers) {
  ExactSquares sum(type);
  for (const double number : numbers)
    sum.add(number);
  return ExactSquares::value(type, sum.digits());
}

// What fits a double's 53 bits comes out as it is: 3^2 + 4^2, and 2^-60 beside nothing else.
TEST(ExactSquares, AreThoseOfSmallWholeNumbersAndPowersOfTwo) {
  for (const DataType type : data_types()) {
    EXPECT_EQ(sum_of(type, {}), 0);
    EXPECT_EQ(sum_of(type, {3, -4, 0}), 25);
    EXPECT_EQ(sum_of(type, {std::ldexp(1, -30)}), std::ldexp(1, -60));
  }
}

// The ends of the types' ranges: the least number's square is the unit of the sum.
TEST(ExactSquares, ReachTheEndsOfTheRange) {
  using Float = std::numeric_limits<float>;
  const double least = Float::denorm_min(), most = Float::max();
  EXPECT_EQ(sum_of(DataType::fp32, {least}), least * least);
  EXPECT_EQ(sum_of(DataType::fp32, {most, least}), most * most);
  // 2^-149 to 2^127 at once: each of 2^20 least squares is kept.
  ExactSquares sum(DataType::fp32);
  sum.add(most);
  for (int k = 0; k < 1 << 20; ++k)
    sum.add(least);
  std::vector<double> digits = sum.digits();
  EXPECT_EQ(digits.front(), 1 << 20);
  const double huge = std::ldexp(1, 500), tiny = std::ldexp(1, -500);
  EXPECT_EQ(sum_of(DataType::fp64, {huge, tiny}), huge * huge);
  EXPECT_EQ(sum_of(DataType::fp64, {tiny}), tiny * tiny);
}

// Numbers of all sizes, in any order and dealt to any number of ranks, whose digits are added up.
TEST(ExactSquares, DoNotDependOnOrderOrShares) {
  for (const DataType type : {DataType::fp32, DataType::fp64}) {
    Random random(5);
    std::vector<double> numbers;
    for (int k = 0; k < 1000; ++k) {
      const double number = std::ldexp(random.normal(), static_cast<int>(random.below(120)) - 60);
      numbers.push_back(type == DataType::fp32 ? static_cast<float>(number) : number);
    }
    const double expected = sum_of(type, numbers);
    std::vector<double> backwards(numbers.rbegin(), numbers.rend());
    EXPECT_EQ(sum_of(type, backwards), expected);
    std::vector<ExactSquares> shares(7, ExactSquares(type));
    for (std::size_t k = 0; k < numbers.size(); ++k)
      shares[k * k % 7].add(numbers[k]);
    std::vector<double> digits(static_cast<std::size_t>(ExactSquares::digit_count(type)), 0);
    for (ExactSquares& share : shares) {
      const std::vector<double> own = share.digits();
      std::transform(own.begin(), own.end(), digits.begin(), digits.begin(), std::plus<>());
    }
    EXPECT_EQ(ExactSquares::value(type, digits), expected);
    // The naive sum is near it: relative error below n roundings.
    double naive = 0;
    for (const double number : numbers)
      naive += number * number;
    EXPECT_NEAR(naive / expected, 1, 1000 * std::numeric_limits<double>::epsilon());
  }
}

TEST(ExactSquares, OfWhatIsNotFiniteAreNoNumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(std::isnan(sum_of(DataType::fp32, {1, infinity})));
  EXPECT_TRUE(std::isnan(sum_of(DataType::fp32, {std::nan(""), 1})));
}

}  // namespace
}  // namespace rehearse
